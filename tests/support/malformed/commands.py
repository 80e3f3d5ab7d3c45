"""Every command with valid arguments, the files that it reads, and arguments to spoil."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

_TRAINING = "--epochs 1 --batch-size 16 --device cpu --workers 0 --precision fp32"
_DATA = ("data/dataset.yaml", "data/**/*.json", "data/**/*.safetensors", "data/**/*.png")
_MODEL = ("model/*",)
_RUN = ("run/*.json", "run/ticket/*", "run/dense/*", "run/onnx/*")
_SOURCES = "sources/"
_PICTURE = "sources/pictures/COCO_train2014_000000000001.png"
_IMPORT = "data import --name x --detector pixel --min-occurrences 1"
_OFFICIAL = (
    f"{_IMPORT} --train-questions {{w}}/sources/train_questions.json "
    "--train-annotations {w}/sources/train_annotations.json "
    "--val-questions {w}/sources/val_questions.json "
    "--val-annotations {w}/sources/val_annotations.json "
    "--train-images {w}/sources/pictures --val-images {w}/sources/pictures "
    "--answers {w}/sources/answers.json"
)


@dataclass(frozen=True)
class Scenario:
    """A valid command line, in which {w} is the folder of the artefacts.

    files: patterns of the files that it reads.
    output: the option of its result, where it has one.
    share: how often it is taken, compared with the others.
    seconds: how long it may take.
    """

    command: str
    files: tuple[str, ...]
    output: str | None = None
    share: int = 2
    seconds: float = 120

    @property
    def name(self) -> str:
        words = self.command.split()
        return " ".join(words[:2]) if words[0] == "data" else words[0]

    def arguments(self, work: Path) -> list[str]:
        found = self.command.format(w=work).split()
        return [*found, self.output, f"{work}/out"] if self.output else found


SCENARIOS = (
    Scenario(f"prune --data {{w}}/data --model {{w}}/model {_TRAINING}", _DATA, "--output", 4),
    Scenario(f"prune --data {{w}}/data --model {{w}}/model {_TRAINING}", _MODEL, "--output", 3),
    Scenario(
        f"prune --data {{w}}/data --finetuned {{w}}/run/dense --no-control {_TRAINING} "
        "--mask {w}/run/ticket/mask.safetensors",
        ("run/dense/*", "run/ticket/mask.safetensors"),
        "--output",
        2,
    ),
    Scenario("prune --config {w}/settings.yaml", ("settings.yaml",), "--output", 4),
    Scenario(
        "prune --resume {w}/run",
        ("run/*.json", "run/theta0/*", "run/ticket/*", "run/dense/*"),
    ),
    Scenario(
        f"pretrain --data {{w}}/data --model-config {{w}}/architecture.json {_TRAINING}",
        ("architecture.json", *_DATA),
        "--output",
    ),
    Scenario(
        "evaluate {w}/model --data {w}/data --device cpu --workers 0",
        (*_MODEL, *_DATA),
        "--json",
        5,
    ),
    Scenario("evaluate {w}/run --device cpu --workers 0", _RUN, "--predictions", 2),
    Scenario("export {w}/run --variant sparse-int8", _RUN, "--output", 3),
    Scenario("export {w}/run --variant sparse-int8 --output {w}/onnx2", _RUN, "--hub", 2),
    Scenario(
        "export {w}/run --variant sparse-int8 --output {w}/onnx2 --triton-device cpu",
        _RUN,
        "--triton",
        1,
    ),
    Scenario("export {w}/model --variant int8", _MODEL, "--output", 2),
    Scenario(
        "convert {w}/BEST.pth --heads 2 --answers {w}/three.json --tokenizer {w}/model",
        ("BEST.pth", "three.json", "model/tok*"),
        "--output",
        3,
    ),
    Scenario(
        f"ask {{w}}/run {{w}}/{_PICTURE} --questions {{w}}/questions.txt --device cpu",
        (_PICTURE, "questions.txt", *_RUN),
        None,
        3,
    ),
    Scenario("verify {w}/run/onnx/model_sparse_int8.onnx", ("run/onnx/*int8*",), None, 4),
    Scenario("verify {w}/run/onnx/model_sparse_int8.onnx --run {w}/run", _RUN, None, 3),
    Scenario(
        "bench {w}/run --runs 1 --seconds 0 --loads 1 --questions 2 --batch-size 1",
        _RUN,
        "--output",
        1,
        120,
    ),
    Scenario(
        "sweep --config {w}/settings.yaml --subnetwork low --sparsity 0.5 --seed 0 --jobs 1",
        ("settings.yaml", "model/*", "data/dataset.yaml"),
        "--output",
        1,
        120,
    ),
    Scenario("demo {w}/run --threads 1", _RUN, None, 3),
    Scenario(_OFFICIAL, (f"{_SOURCES}*.json", f"{_SOURCES}pictures/*"), "--output", 3),
    Scenario(
        f"{_IMPORT} --lxmert-train {{w}}/sources/samples.json"
        " --lxmert-val {w}/sources/samples.json"
        " --train-images {w}/sources/pictures --val-images {w}/sources/pictures",
        (f"{_SOURCES}samples.json",),
        "--output",
    ),
    Scenario(
        f"{_IMPORT} --train-questions {{w}}/sources/vizwiz.json"
        " --val-questions {w}/sources/gqa.json"
        " --train-images {w}/sources/pictures --val-images {w}/sources/pictures",
        (f"{_SOURCES}vizwiz.json", f"{_SOURCES}gqa.json"),
        "--output",
    ),
    Scenario("data convert {w}/sources/regions.tsv", (f"{_SOURCES}regions.tsv",), "--output", 3),
    Scenario("data detect {w}/sources/pictures", (f"{_SOURCES}pictures/*",), "--output", 3),
    Scenario("data check {w}/data", _DATA, None, 5),
    Scenario("data make-shapes --train-images 1 --val-images 1 --test-images 0", (), "--output", 1),
    Scenario("pack {w}/small-ticket", ("small-ticket/*",), "--output", 4),
    Scenario("unpack {w}/packed", ("packed/*",), "--output", 4),
    Scenario(
        "score {w}/sources/results.json --questions {w}/sources/val_questions.json "
        "--annotations {w}/sources/val_annotations.json",
        (f"{_SOURCES}results.json", f"{_SOURCES}val_*.json"),
        "--json",
        4,
    ),
    Scenario("doctor --json", (), None, 1),
)

_WORDS = (
    *("", " ", "-1", "0", "nan", "inf", "1e400", "9" * 30, "9" * 5000, "0.5.5", "٣", "x" * 300),
    *("x" * 5000, "a\nb", "\udcff", "é", "🙂", "/dev/null", "/dev/full", "/", ".", "..", "~nobody"),
    *("/proc/self/mem", "-", "--", "--help=1", "http://[", "https://example.com/m", "a/b", "a/b/c"),
    *("../..", "%s", "{x}", "$HOME", "*", "\x1b[31m", "unc-nlp/no such"),
)


def spoil_arguments(arguments: list[str], work: Path, rng: random.Random) -> tuple[str, list[str]]:
    """What was changed, and a command line with one wrong, missing or additional word."""
    changed = list(arguments)
    kind = rng.choice(("value", "value", "value", "drop", "repeat", "unknown", "path"))
    first = 2 if changed[0] == "data" else 1
    index = rng.randrange(first, len(changed)) if len(changed) > first else None
    if kind == "unknown" or index is None:
        option = rng.choice(("--unknown", "--sparsity=nan", "--seed", "--threads=-1", "extra"))
        return f"with {option}", [*changed, option]
    if kind == "drop":
        return f"without {changed.pop(index)}", changed
    if kind == "repeat":
        changed.insert(index, changed[index])
        return f"{changed[index]} twice", changed
    word = rng.choice(_special_paths(work) if kind == "path" else _WORDS)
    before, changed[index] = changed[index], word
    return f"{before} -> {word!r:.40}", changed


def _special_paths(work: Path) -> tuple[str, ...]:
    """Paths of things that are neither files nor folders, or that cannot be written to."""
    special = work / "special"
    special.mkdir()
    (special / "loop").symlink_to("loop")
    (special / "dangling").symlink_to("nowhere")
    os.mkfifo(special / "fifo")
    (special / "file").write_text("x")
    (special / "empty").mkdir()
    (special / os.fsdecode(b"\xff")).mkdir()
    names = ("loop", "dangling", "fifo", "file", "file/below", "empty", os.fsdecode(b"\xff"))
    return tuple(str(special / name) for name in names)
