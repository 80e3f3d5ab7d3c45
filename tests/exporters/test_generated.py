"""Questions and regions that are generated: valid inputs, the same each time; exports on them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from exports import Command, read_report
from hub_cache import BASE, VQA, add_repository, published_files, tokenizer_files, use_cache

from exporters.generated import GENERATED, generated_questions
from exporters.variants import VARIANTS
from lxcompress.data.batches import evaluation_batches
from lxcompress.data.dataset import Dataset
from lxcompress.model.lxmert import read_config
from lxcompress.model.tokenizer import build_tokenizer, load_tokenizer


def test_generated_inputs_are_valid_varied_and_reproducible(tiny_model: Path) -> None:
    config, tokenizer = read_config(tiny_model), load_tokenizer(tiny_model)
    data, again = (generated_questions(config, tokenizer, 12) for _ in range(2))
    (whole,) = evaluation_batches(data, len(data), workers=0)
    (repeated,) = evaluation_batches(again, len(data), workers=0)
    assert whole.keys() == repeated.keys()
    for name, values in whole.items():
        assert (values == repeated[name]).all(), name
    assert whole["input_ids"].max() < config.vocab_size
    words, regions = (
        whole[name].sum(dim=1) for name in ("attention_mask", "visual_attention_mask")
    )
    assert (words.min(), words.max()) == (3, 12)
    assert regions.min() < 5 and regions.max() == 36
    features, boxes = whole["visual_feats"].numpy(), whole["visual_pos"].numpy()
    assert features.shape[2] == config.visual_feat_dim
    assert np.isfinite(features).all() and (features >= 0).all()
    assert (boxes[..., :2] <= boxes[..., 2:]).all()
    assert boxes.min() >= 0 and boxes.max() <= 1


def test_a_model_folder_without_data(
    tiny_run: Path, tmp_path: Path, command: Command, tiny_exported: Path
) -> None:
    for kind, name in (("dense", "fp32"), ("ticket", "sparse-int8")):
        folder = shutil.copytree(tiny_run / kind, tmp_path / kind)
        outcome = command("export", folder, "--variant", name)
        assert outcome.code == 0, outcome
        assert "not measured" in outcome.out
        file = folder / "onnx" / VARIANTS[name].file
        # Equal to the byte to that of the run.
        assert file.read_bytes() == (tiny_exported / "onnx" / VARIANTS[name].file).read_bytes()
        record = read_report(folder)["files"][file.name]
        assert record["accuracy"] is None and record["accuracy_in_pytorch"] is None
        assert record["questions"] == 256 and record["same_answers"] > 0.9
        assert record["made_of"]["data"] == GENERATED
        written = file.stat().st_mtime_ns
        assert command("export", folder, "--variant", name).code == 0
        assert file.stat().st_mtime_ns == written  # up to date
        verified = command("verify", file, "--run", folder)
        assert verified.code == 0 and "of 256" in verified.out


def test_a_published_model_without_data(
    tmp_path: Path,
    tiny_dataset: Dataset,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_cache(tmp_path / "hub", monkeypatch)
    words = build_tokenizer(question.text for question in tiny_dataset.questions("train"))
    files = published_files(tmp_path, vocab_size=len(words))
    add_repository(tmp_path / "hub", BASE, tokenizer_files(words, tmp_path / "words"))
    add_repository(tmp_path / "hub", VQA, files)
    monkeypatch.chdir(tmp_path)
    outcome = command("export", VQA, "--variant", "int8")
    assert outcome.code == 0, outcome
    file = tmp_path / "lxmert-vqa-uncased" / "onnx" / "model_int8.onnx"
    assert file.exists()
    report = json.loads((file.parent / "export.json").read_text())
    assert "pytorch_model.bin" in report["files"]["model_int8.onnx"]["made_of"]["files"]
    assert command("verify", file, "--run", VQA).code == 0
