"""`lxcompress bench` in this process, loading included: a new process for each takes seconds."""

from __future__ import annotations

import copy
import functools
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench.findings.summary import findings
from benchmarks.bench.schema import Report
from benchmarks.measure import loading
from lxcompress.cli.main import main

QUICK = ("--batch-size", 1, "--batch-size", 3, "--runs", 3, "--seconds", 0, "--loads", 2)
HOSTILE = "<script>alert(1)</script>\"'><img src=http://x.y/ onerror=a()>|[a](http://x.y)`*_&\n# b"

Change = Callable[[dict[str, Any]], None]


@functools.cache
def benched_copy(exported: Path) -> Path:
    """A copy of an exported run with its report; tests only read it."""
    folder = Path(shutil.copytree(exported, exported.parent / "benched"))
    with pytest.MonkeyPatch.context() as patch:
        assert run_bench(patch, folder, *QUICK) == 0
    return folder


def run_bench(patch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of `lxcompress bench ARGUMENTS`."""
    patch.setattr(loading, "load_in_child", loading.load)
    patch.setattr(sys, "argv", ["lxcompress", "bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


def error_of(patch: pytest.MonkeyPatch, capsys: Any, *arguments: object) -> str:
    """The only line of an error of `lxcompress bench ARGUMENTS`, without its beginning."""
    capsys.readouterr()
    assert run_bench(patch, *arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), lines
    return lines[0].removeprefix("error: ")


def changed(figures: dict[str, Any], *changes: Change) -> Report:
    """The report of changed figures, with the findings that follow from them."""
    other = json.loads(json.dumps(figures))
    for change in changes:
        change(other)
    report = Report.model_validate(other)
    return report.model_copy(update={"findings": findings(report)})


def structured(figures: dict[str, Any]) -> None:
    """As of a ticket whose files lack heads and neurons, and 60% of the multiply-adds."""
    for file in figures["size"]["files"]:
        if file["model"] == "ticket":
            file["encoding"] = "compact+bitmask"
    for batch in figures["latency"]:
        for ratio in batch["ratios"]:
            if ratio["isolates"] == "sparsity" and ratio["of"].startswith("ONNX Runtime"):
                ratio["isolates"] = "structure"
    network = figures["network"]
    network["ticket"] = round(0.4 * network["dense"])
    kept = {
        ("language", "layer.{}.attention.self", "attention"): [1, 2],
        ("language", "layer.{}.intermediate", "feed-forward"): [0, 48],
        ("vision", "r_layers.{}.attention.self", "attention"): [2, 2],
        ("cross-modality", "x_layers.{}.visual_attention.att", "cross-attention"): [1, 2],
        ("cross-modality", "x_layers.{}.lang_inter", "language feed-forward"): [5, 48],
    }
    network["units"] = [
        {
            "module": "lxmert.encoder." + name.format(layer),
            "part": part,
            "layer": layer,
            "sublayer": sublayer,
            "kind": "neurons" if total == 48 else "heads",
            "left": left,
            "of": total,
        }
        for (part, name, sublayer), (left, total) in kept.items()
        for layer in range(2)
        if (layer, sublayer) != (1, "cross-attention")
    ]


def controlled(figures: dict[str, Any]) -> None:
    """As of a run with a dense control, which is 5 points better than the dense model."""
    figures["dense_control"] = {"accuracy": {"overall": 60.0}, "epochs": 8}
    name = "PyTorch eager {} fp32".format
    systems, comparisons = figures["accuracy"]["systems"], figures["accuracy"]["comparisons"]
    (dense,) = [it for it in systems if it["system"]["name"] == name("dense")]
    control = copy.deepcopy(dense)
    control["system"] |= {"name": name("dense control"), "model": "dense control"}
    systems.insert(1, control)
    (pruning,) = [it for it in comparisons if it["of"] == name("ticket")]
    training, at_equal_training = copy.deepcopy(pruning), copy.deepcopy(pruning)
    training |= {"of": name("dense control"), "isolates": "training"}
    at_equal_training |= {"against": name("dense control")}
    overall = training["by_type"]["overall"]
    overall["difference"] = {"low": 4.0, "estimate": 5.0, "high": 6.0}
    overall = at_equal_training["by_type"]["overall"]
    overall["difference"] = {"low": -1.0, "estimate": -0.5, "high": 0.5}
    comparisons += [training, at_equal_training]
