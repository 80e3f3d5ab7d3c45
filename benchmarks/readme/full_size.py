"""What the speed benchmarks share: the model, batches of stated lengths, a step, and the report."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from transformers import LxmertConfig, LxmertForQuestionAnswering

from lxcompress.data.batches import Batch
from lxcompress.model.attention import use_fast_attention
from lxcompress.model.unused_branch import skip_unused_branch
from lxcompress.pruning.mask import MaskEnforcer
from lxcompress.system.environment import describe
from lxcompress.system.files import write_json
from lxcompress.training.loop import GRADIENT_CLIP, answer_loss
from lxcompress.training.optimizer import BertAdam

FULL_ANSWERS = 3129
REGIONS = 36
MAX_TOKENS = 20
# Words in a question: 3 + Poisson(3.2), so 6.2 on average as in VQA v2, and few beyond 11. To
# them come [CLS], [SEP] and the question mark; a word is counted as one token.
WORDS = "3 + Poisson(3.2) words, [CLS], [SEP] and ?, at most 20 tokens"
_FEWEST_WORDS, _MORE_WORDS, _NOT_WORDS = 3, 3.2, 3

CPU = torch.device("cpu")


def new_model(small: bool, seed: int = 0, *, stock: bool = False) -> LxmertForQuestionAnswering:
    """An LXMERT with random weights: VQA v2's full size, or one for a quick look.

    As `load_model` sets it up, or with `stock` as Hugging Face has it.
    """
    if small:
        size = {"hidden_size": 48, "num_attention_heads": 2, "intermediate_size": 96}
        layers = {"l_layers": 1, "x_layers": 2, "r_layers": 1}
        config = LxmertConfig(**size, **layers, vocab_size=60, visual_feat_dim=16, num_qa_labels=12)
    else:
        config = LxmertConfig(num_qa_labels=FULL_ANSWERS)
    torch.manual_seed(seed)
    model = LxmertForQuestionAnswering(config)
    if not stock:
        use_fast_attention(model)
        skip_unused_branch(model)
    return model


def batches(
    config: LxmertConfig, batch_size: int, *, padded_to: int | None = None, seed: int = 0
) -> Iterator[Batch]:
    """Endless batches as `EncodedQuestions` gives them, of random words and regions.

    Padded to the longest question of each batch, or all to `padded_to` tokens. The same seed
    gives the same questions however they are padded.
    """
    random = np.random.default_rng(seed)
    while True:
        words = _FEWEST_WORDS + random.poisson(_MORE_WORDS, batch_size)
        lengths = np.minimum(words + _NOT_WORDS, MAX_TOKENS)
        width = padded_to or int(lengths.max())
        attention = torch.from_numpy((np.arange(width) < lengths[:, None]).astype(np.int64))
        ids = random.integers(1, config.vocab_size, (batch_size, MAX_TOKENS))[:, :width]
        features = random.standard_normal(
            (batch_size, REGIONS, config.visual_feat_dim), dtype=np.float32
        )
        boxes = random.random((batch_size, REGIONS, 4), dtype=np.float32)
        yield {
            "input_ids": torch.from_numpy(ids) * attention,
            "attention_mask": attention,
            "token_type_ids": torch.zeros(batch_size, width, dtype=torch.int64),
            "visual_feats": torch.from_numpy(features.astype(np.float16)),
            "visual_pos": torch.from_numpy(boxes),
            "visual_attention_mask": torch.ones(batch_size, REGIONS, dtype=torch.int64),
            "targets": torch.from_numpy(
                random.random((batch_size, config.num_qa_labels), dtype=np.float32)
            ),
        }


class Trainee:
    """A model in training; `step` does what a step of `lxcompress.training.loop.train` does."""

    def __init__(self, model: LxmertForQuestionAnswering) -> None:
        self.model = model.train()
        self.parameters = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimizer = BertAdam(self.parameters, lr=5e-5)

    def step(self, batch: Batch, enforcer: MaskEnforcer | None = None) -> dict[str, float]:
        """Seconds by part: forward, backward, mask (with an `enforcer`), clip, optimizer."""
        began = time.perf_counter()
        marks = {"start": began}
        loss = answer_loss(self.model, batch, CPU)
        marks["forward"] = time.perf_counter()
        loss.backward()
        marks["backward"] = time.perf_counter()
        if enforcer is not None:
            enforcer.mask_gradients()
            marks["mask"] = time.perf_counter()
        torch.nn.utils.clip_grad_norm_(self.parameters, GRADIENT_CLIP)
        marks["clip"] = time.perf_counter()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        marks["optimizer"] = time.perf_counter()
        names, times = list(marks), list(marks.values())
        parts = {names[i]: times[i] - times[i - 1] for i in range(1, len(names))}
        return {"step": times[-1] - began, **parts}


def seconds(samples: Sequence[float]) -> dict[str, Any]:
    """A record of raw samples and their median."""
    return {"unit": "seconds", "median": statistics.median(samples), "samples": list(samples)}


def note(text: str) -> None:
    """Say on standard error what is measured now; some of it takes minutes."""
    print(text, file=sys.stderr, flush=True)


def options(module: str, description: str | None) -> argparse.ArgumentParser:
    """The options that all speed benchmarks have."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=(description or "").partition("\n")[0]
    )
    parser.add_argument("--output", type=Path, help="also write the report to this JSON file")
    parser.add_argument("--small", action="store_true", help="a tiny model: does it run at all?")
    return parser


def publish(
    module: str, given: argparse.Namespace, rows: list[dict[str, str]], **measurements: Any
) -> None:
    """Print `rows` ("what", "text") as a table and write them with the raw measurements."""
    table = Table("what", "measured", title=module)
    for row in rows:
        table.add_row(row["what"], row["text"])
    Console().print(table)
    if given.output is None:
        return
    small = " --small" if given.small else ""
    device = getattr(given, "device", "cpu")
    on = f" --device {device}" if device != "cpu" else ""
    report = {
        "command": f"python -m {module}{on}{small}",
        "unit": "seconds and bytes, as each record says",
        "rows": rows,
        "measurements": measurements,
        "environment": describe(device),
    }
    write_json(given.output, report)
