"""A tiny LXMERT and batches for it."""

from pathlib import Path
from typing import Any

import torch
from transformers import LxmertConfig, LxmertForQuestionAnswering

from lxcompress.config import PruneConfig
from lxcompress.data.dataset import Dataset
from lxcompress.lottery import Lottery
from lxcompress.model.tokenizer import build_tokenizer
from lxcompress.run import Run
from lxcompress.system.files import read_json


def tiny_config(**changes: Any) -> LxmertConfig:
    settings = {
        "vocab_size": 40,
        "hidden_size": 32,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "l_layers": 2,
        "x_layers": 2,
        "r_layers": 1,
        "max_position_embeddings": 24,
        "visual_feat_dim": 6,
        "num_qa_labels": 5,
    }
    return LxmertConfig(**(settings | changes))


def write_model(folder: Path, dataset: Dataset) -> Path:
    """Write a model folder as anyone may have it: by Hugging Face's own code, with dropout."""
    tokenizer = build_tokenizer(question.text for question in dataset.questions("train"))
    labels = ["yes", "no", "zebra"]
    config = tiny_config(
        vocab_size=len(tokenizer),
        visual_feat_dim=dataset.region_format("train").feature_size,
        l_layers=1,
        x_layers=1,
        num_qa_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    torch.manual_seed(1)
    LxmertForQuestionAnswering(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def random_batch(config: LxmertConfig, seed: int = 0) -> dict[str, torch.Tensor]:
    """Three questions of 7, 4 and 2 tokens about pictures of 2, 5 and 3 regions, with targets."""
    random = torch.Generator().manual_seed(seed)
    words, regions = torch.tensor([7, 4, 2]), torch.tensor([2, 5, 3])
    attention = (torch.arange(7) < words[:, None]).long()
    return {
        "input_ids": torch.randint(1, config.vocab_size, (3, 7), generator=random) * attention,
        "attention_mask": attention,
        "token_type_ids": torch.zeros(3, 7, dtype=torch.int64),
        "visual_feats": torch.randn(3, 5, config.visual_feat_dim, generator=random),
        "visual_pos": torch.rand(3, 5, 4, generator=random),
        "visual_attention_mask": (torch.arange(5) < regions[:, None]).long(),
        "targets": torch.rand(3, config.num_qa_labels, generator=random),
    }


def settings(model: Path, data: Path, /, **changes: Any) -> dict[str, Any]:
    """Settings of a run that takes seconds, by the names of the options."""
    usual = {
        "data": str(data),
        "model": str(model),
        "epochs": 1,
        "batch-size": 16,
        "learning-rate": 1e-3,
        "device": "cpu",
        "precision": "fp32",
        "workers": 0,
    }
    return usual | {name.replace("_", "-"): value for name, value in changes.items()}


def run_lottery(
    folder: Path, dataset: Dataset, options: dict[str, Any]
) -> tuple[Run, dict[str, Any]]:
    """The run, and its result as it stands in result.json."""
    config = PruneConfig.parse(options)
    run = Run(folder)
    with run.claim(config.dump()):
        Lottery(run, config, dataset).find_ticket()
    return run, read_json(run.result, "result")
