"""A full-size LXMERT on real feature rows; skipped where ../shared/coco-sample is absent."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from shared import SHARED
from transformers import BertTokenizer, LxmertConfig, LxmertForQuestionAnswering

from lxcompress.data.batches import EncodedQuestions
from lxcompress.data.questions.question import Question
from lxcompress.data.regions.lxmert_tsv import convert_tsv
from lxcompress.model.attention import use_fast_attention
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.tokenizer import build_tokenizer
from lxcompress.model.unused_branch import skip_unused_branch
from lxcompress.pruning.magnitude import magnitude_mask
from lxcompress.system.machine.device import make_accelerator
from lxcompress.training.log import TrainingLog
from lxcompress.training.loop import train
from lxcompress.training.recipe import Recipe

SAMPLE = SHARED / "coco-sample"


@pytest.mark.skipif(not SAMPLE.exists(), reason="no ../shared/coco-sample")
def test_training_steps_under_a_mask_on_real_rows(tmp_path: Path) -> None:
    regions = convert_tsv(SAMPLE / "train2014_obj36.tsv", tmp_path / "regions")
    questions = [
        Question(number, image, "what is in the picture?", "what is", "other", (answer,) * 10)
        for number, image in enumerate(regions.image_ids)
        for answer in [("cat", "dog")[number % 2]]
    ]
    tokenizer: BertTokenizer = build_tokenizer(question.text for question in questions)
    torch.manual_seed(0)
    model = LxmertForQuestionAnswering(LxmertConfig(num_qa_labels=2))
    use_fast_attention(model)
    skip_unused_branch(model)
    weights = prunable_parameters(model)
    mask = magnitude_mask({name: w.detach() for name, w in weights.items()}, 0.5)
    assert mask.pruned == round(0.5 * 176_357_376)
    mask.apply(weights)
    before = {name: weight.detach().clone() for name, weight in list(weights.items())[::20]}

    data = EncodedQuestions(questions, regions, tokenizer, max_tokens=20, answers=["cat", "dog"])
    log = TrainingLog(tmp_path / "log.jsonl")
    train(
        model,
        data,
        # Step 0 has a learning rate of 0, so it takes a second one to move anything.
        Recipe(epochs=1, batch_size=5, warmup=0.5),
        make_accelerator("cpu", "fp32"),
        checkpoint=tmp_path / "checkpoint.safetensors",
        log=log,
        description="full size",
        mask=mask,
        workers=0,
    )
    mask.verify(weights, "the model")
    for name, weight in before.items():
        assert not torch.equal(weights[name].detach(), weight), name
    assert '"step": 2' in log.path.read_text()
