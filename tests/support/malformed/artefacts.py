"""One small valid artefact of every kind that a command reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from dataset_files import (
    gqa_row,
    vizwiz_row,
    write_json,
    write_official,
    write_pictures,
    write_samples,
)
from exported import noisy_run
from packed import make_ticket
from tiny import write_model
from transformers import LxmertForQuestionAnswering

from exporters.export import export
from exporters.packing.pack import pack
from exporters.source import Source
from lxcompress.data.dataset import open_dataset
from lxcompress.data.dataset_config import SPLITS
from lxcompress.data.shapes.dataset import make_shapes


def make_artefacts(folder: Path) -> None:
    """Write data, models, a run with ONNX files and the files that `data` and `score` read."""
    data = folder / "data"
    make_shapes(data, train_images=40, val_images=15, test_images=3)
    dataset = open_dataset(data)
    dataset.prepare_regions(*SPLITS)
    model = write_model(folder / "model", dataset)
    noisy_run(folder / "run", dataset, model, data)
    source = Source.of(folder / "run", None, None)
    export(source, source.variants(["sparse-int8", "fp32"]), "cpu")
    make_ticket(model, folder / "small-ticket")
    pack(folder / "small-ticket", folder / "packed")
    _write_settings(folder, model, data)
    _write_sources(folder / "sources")
    _write_checkpoint(folder, model)
    (folder / "questions.txt").write_text("what is this?\nis there a red shape?\n")


def _write_checkpoint(folder: Path, model: Path) -> None:
    """A fine-tuned model as LXMERT's own code saves it, with its answer list."""
    names = {"lxmert.": "lxrt_encoder.model.bert.", "answer_head.": ""}
    state = {}
    for name, tensor in LxmertForQuestionAnswering.from_pretrained(model).state_dict().items():
        prefix = name.partition(".")[0] + "."
        state[names[prefix] + name.removeprefix(prefix)] = tensor
    torch.save(state, folder / "BEST.pth")
    (folder / "three.json").write_text('["yes", "no", "zebra"]')


def _write_settings(folder: Path, model: Path, data: Path) -> None:
    settings = {
        "data": str(data),
        "model": str(model),
        "output": str(folder / "out"),
        "sparsity": 0.5,
        "subnetwork": "low",
        "scope": "global",
        "schedule": "paper",
        "rewind": "weights",
        "enforce-mask": True,
        "seed": 0,
        "epochs": 1,
        "batch-size": 16,
        "learning-rate": 0.001,
        "max-tokens": 20,
        "precision": "fp32",
        "device": "cpu",
        "workers": 0,
    }
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    config = json.loads((model / "config.json").read_text())
    (folder / "architecture.json").write_text(json.dumps(config))


def _write_sources(folder: Path) -> None:
    folder.mkdir()
    write_official(folder, "train", range(1, 9))
    write_official(folder, "val", range(11, 15))
    write_samples(folder / "samples.json", [str(number) for number in range(1, 9)])
    write_json(folder / "vizwiz.json", [vizwiz_row(f"{number}.jpg") for number in range(1, 9)])
    write_json(
        folder / "gqa.json", {f"{number:08d}": gqa_row(str(number)) for number in range(11, 15)}
    )
    (folder / "answers.json").write_text('["yes", "no", "cat"]')
    write_pictures(folder / "pictures", [*range(1, 9), *range(11, 15)])
    results = [
        {"question_id": image * 10 + number, "answer": "yes"}
        for image in range(11, 15)
        for number in range(2)
    ]
    (folder / "results.json").write_text(json.dumps(results))
    _write_tsv(folder / "regions.tsv")


def _write_tsv(path: Path) -> None:
    import base64

    def text(array: Any) -> str:
        return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()

    ids, scores = text(np.arange(3, dtype=np.int64)), text(np.ones(3, np.float32))
    boxes = text(np.tile(np.array([30, 20, 150, 200], np.float32), (3, 1)))
    features = text(np.arange(12, dtype=np.float32))
    rows = [
        [f"COCO_train2014_{number:012d}", "200", "300", ids, scores, ids, scores, "3"]
        + [boxes, features]
        for number in range(1, 9)
    ]
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="ascii")


def restore(base: Path, work: Path) -> None:
    """Make `work` an exact copy of `base` again."""
    if work.is_dir() and not work.is_symlink():
        shutil.rmtree(work)
    shutil.copytree(base, work, symlinks=True)
