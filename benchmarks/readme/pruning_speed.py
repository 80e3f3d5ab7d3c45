"""The time to find, apply and enforce a mask, on a full-size LXMERT with random weights.

    python -m benchmarks.readme.pruning_speed --output benchmarks/results/pruning_speed.json

It measures an exact global threshold and `torch.nn.utils.prune.global_unstructured`, in separate
processes in turn; the share of a training step that enforcing the mask takes; and the time to find
the threshold, apply the mask to θ0 and save the ticket, whose sparsity it checks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune

from benchmarks.measure.memory import peak_bytes
from benchmarks.readme import full_size, speed_report
from benchmarks.readme.timed_training import TimedTraining, by_part
from lxcompress.choices import Subnetwork
from lxcompress.errors import ModelError
from lxcompress.model.folder import MASK_FILE
from lxcompress.model.lxmert import load_model, save_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.tokenizer import build_tokenizer
from lxcompress.pruning.magnitude import magnitude_mask
from lxcompress.pruning.mask import Mask
from lxcompress.system.child_process import run_module

MODULE = "benchmarks.readme.pruning_speed"
SPARSITY = 0.5
# The order of the processes. Ours is fast enough to be measured several times in each.
_TURNS = ("lxcompress", "torch", "lxcompress", "torch", "lxcompress")
_REPEATS = 3
_STEPS = 6
_BATCH_SIZE = 32


def main(arguments: list[str] | None = None) -> None:
    parser = speed_report.options(MODULE, __doc__)
    parser.add_argument("--child", choices=sorted(set(_TURNS)), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.child:
        measure = {"lxcompress": threshold_of_ours, "torch": threshold_of_torch}[given.child]
        print(json.dumps(measure(given.small)))
        return
    threshold = compare_thresholds(given.small)
    subnetworks = each_subnetwork(given.small)
    step = mask_in_training(given.small)
    ticket = ticket_folder(given.small)
    speed_report.publish(
        MODULE,
        given,
        _rows(threshold, step, ticket),
        threshold=threshold,
        subnetworks=subnetworks,
        training_step=step,
        ticket=ticket,
    )


def compare_thresholds(small: bool) -> dict[str, Any]:
    """Time both ways of pruning to `SPARSITY`: threshold, mask, and zeros in the weights."""
    order = _TURNS[:2] if small else _TURNS
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in order}
    arguments = [*(["--small"] if small else []), "--child"]
    for number, name in enumerate(order, start=1):
        speed_report.status(f"threshold by {name}, process {number} of {len(order)}")
        child = run_module(MODULE, *arguments, name, stdout=subprocess.PIPE)
        found[name].append(json.loads(child.stdout))
    report = {
        name: {
            "seconds": speed_report.seconds(
                [sample for turn in turns for sample in turn["seconds"]]
            ),
            "peak_bytes_above_model": {
                "unit": "bytes",
                "median": statistics.median(turn["peak_bytes"] for turn in turns),
                "samples": [turn["peak_bytes"] for turn in turns],
            },
        }
        for name, turns in found.items()
    }
    sizes = found["torch"][0]
    ratio = report["torch"]["seconds"]["median"] / report["lxcompress"]["seconds"]["median"]
    return {
        **report,
        "times_faster": ratio,
        "prunable": sizes["prunable"],
        "pruned": sizes["pruned"],
        "weights_chosen_differently": sizes["differing"],
    }


def threshold_of_ours(small: bool) -> dict[str, Any]:
    """Time `magnitude_mask` and `Mask.apply`, several times on new weights."""
    model = full_size.new_model(small)
    weights = prunable_parameters(model)
    samples, before = [], peak_bytes()
    for _ in range(_REPEATS):
        with torch.no_grad():
            for weight in weights.values():
                weight.normal_(std=0.02)
        start = time.perf_counter()
        mask = magnitude_mask(weights, SPARSITY)
        mask.apply(weights)
        samples.append(time.perf_counter() - start)
        del mask
    return {"seconds": samples, "peak_bytes": peak_bytes() - before}


def threshold_of_torch(small: bool) -> dict[str, Any]:
    """Time `prune.global_unstructured`, and count the weights that it chooses differently."""
    model = full_size.new_model(small)
    weights = prunable_parameters(model)
    count = round(SPARSITY * sum(weight.numel() for weight in weights.values()))
    modules: list[tuple[nn.Module, str]] = [
        (model.get_submodule(name.removesuffix(".weight")), "weight") for name in weights
    ]
    before = peak_bytes()
    start = time.perf_counter()
    prune.global_unstructured(modules, pruning_method=prune.L1Unstructured, amount=count)
    elapsed = time.perf_counter() - start
    peak = peak_bytes() - before
    ours = magnitude_mask(weights, SPARSITY)
    theirs = {
        name: dict(module.named_buffers())["weight_mask"].bool()
        for name, (module, _) in zip(weights, modules, strict=True)
    }
    return {
        "seconds": [elapsed],
        "peak_bytes": peak,
        "prunable": ours.size,
        "pruned": ours.pruned,
        # Weights of equal magnitude at the threshold: torch's choice among them is arbitrary.
        "differing": sum(int((keep != theirs[name]).sum()) for name, keep in ours.items()),
    }


def each_subnetwork(small: bool) -> dict[str, Any]:
    """Time `magnitude_mask` for each subnetwork, in turn."""
    weights = prunable_parameters(full_size.new_model(small))
    samples: dict[str, list[float]] = {name: [] for name in Subnetwork}
    for _ in range(_REPEATS):
        for name in Subnetwork:
            start = time.perf_counter()
            magnitude_mask(weights, SPARSITY, subnetwork=name)
            samples[name].append(time.perf_counter() - start)
    return {name: speed_report.seconds(taken) for name, taken in samples.items()}


def mask_in_training(small: bool) -> dict[str, Any]:
    """Time a training step by part; the part "mask" is what enforcing the mask adds."""
    model = full_size.new_model(small)
    weights = prunable_parameters(model)
    mask = magnitude_mask(weights, SPARSITY)
    mask.apply(weights)
    enforcer, training = mask.enforcer(weights), TimedTraining(model)
    source = full_size.batches(model.config, _BATCH_SIZE)
    training.step(next(source), enforcer)  # warm-up: the first step allocates memory
    steps = []
    for number in range(1, _STEPS + 1):
        speed_report.status(f"training step under a mask, {number} of {_STEPS}")
        steps.append(training.step(next(source), enforcer))
    mask.verify(weights, "the model after training")
    return {
        "batch_size": _BATCH_SIZE,
        "questions": full_size.QUESTION_LENGTHS,
        "seconds": by_part(steps),
        "mask_share": statistics.median(step["mask"] / step["step"] for step in steps),
    }


def ticket_folder(small: bool) -> dict[str, Any]:
    """Time steps 3 and 4 of the lottery, and check the ticket's folder.

    Raises:
        ModelError: The saved mask is not the one that was found.
    """
    trained, theta0 = full_size.new_model(small, seed=1), full_size.new_model(small, seed=0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "ticket"
        start = time.perf_counter()
        mask = magnitude_mask(prunable_parameters(trained), SPARSITY)
        mask.apply(prunable_parameters(theta0))
        rewound = time.perf_counter()
        save_model(theta0, build_tokenizer(["what is it?"]), folder)
        mask.save(folder / MASK_FILE)
        saved = time.perf_counter()
        loaded = prunable_parameters(load_model(folder))
        found = Mask.load(folder / MASK_FILE, loaded)
        found.verify(loaded, str(folder))
        expected = round(SPARSITY * found.size)
        if not found.pruned == expected or not all(
            torch.equal(keep, mask[name]) for name, keep in found.items()
        ):
            raise ModelError(f"the saved ticket has {found.pruned} pruned weights, not {expected}")
        sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    return {
        "pruned": found.pruned,
        "prunable": found.size,
        "threshold_and_rewind_seconds": rewound - start,
        "save_seconds": saved - rewound,
        "file_bytes": sizes,
    }


def _rows(
    threshold: dict[str, Any], step: dict[str, Any], ticket: dict[str, Any]
) -> list[dict[str, str]]:
    ours, theirs = threshold["lxcompress"], threshold["torch"]

    def text(of: dict[str, Any]) -> str:
        megabytes = of["peak_bytes_above_model"]["median"] / 1e6
        return f"{of['seconds']['median']:.3g} s, peak {megabytes:,.0f} MB above the model"

    parts = step["seconds"]
    return [
        {
            "what": f"exact global threshold over {threshold['prunable']:,} weights, mask applied",
            "text": text(ours),
        },
        {"what": "the same with `torch.nn.utils.prune.global_unstructured`", "text": text(theirs)},
        {"what": "ratio", "text": f"{threshold['times_faster']:.0f} times faster"},
        {
            "what": f"enforcing the mask, in a training step of batch {_BATCH_SIZE}",
            "text": f"{1000 * parts['mask']['median']:.3g} ms of "
            f"{parts['step']['median']:.3g} s ({100 * step['mask_share']:.1f}%)",
        },
        {
            "what": "threshold, mask and rewind; saving the ticket",
            "text": f"{ticket['threshold_and_rewind_seconds']:.3g} s; "
            f"{ticket['save_seconds']:.3g} s; {ticket['pruned']:,} zeros, exactly half",
        },
    ]


if __name__ == "__main__":
    main()
