"""Training speed of a small model beside another busy process, on the embedded default.

    python -m benchmarks.readme.busy_machine --output benchmarks/results/busy_machine.json

Waiting OpenMP threads spin. When another process needs one of the cores, the thread that has work
to do waits for a core while the others burn theirs. The same training steps are timed with the
library's own setting and with that of lxcompress, on the idle machine and beside a process that
this benchmark starts and that never pauses. Every run also hashes its weights: they must be equal.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from benchmarks.readme import speed_report
from lxcompress.config import EMBEDDED_DATA, EMBEDDED_MODEL, PruneConfig
from lxcompress.data.batches import EncodedQuestions, training_batches
from lxcompress.data.dataset import open_dataset
from lxcompress.system.device import make_accelerator
from lxcompress.training.optimizer import BertAdam
from lxcompress.training.start_weights import start_weights, training_splits
from lxcompress.training.step import answer_loss, training_step

MODULE = "benchmarks.readme.busy_machine"
# libgomp's own default, and what lxcompress sets.
SETTINGS = {"libgomp's default": {"GOMP_SPINCOUNT": "300000"}, "lxcompress": {}}
_REPEATS, _STEPS, _WARM_UP = 3, 200, 20
_CHILD = "--child"


def main(arguments: list[str] | None = None) -> None:
    parser = speed_report.options(MODULE, __doc__)
    parser.add_argument(_CHILD, type=int, metavar="STEPS", help="time these steps, print JSON")
    given = parser.parse_args(arguments)
    if given.child:
        print(json.dumps(train(given.child)))
        return
    runs = measure(_WARM_UP if given.small else _STEPS, 1 if given.small else _REPEATS)
    speeds = {case: [run["steps_per_second"] for run in found] for case, found in runs.items()}
    best = {case: sorted(found)[len(found) // 2] for case, found in speeds.items()}
    idle_before = best["libgomp's default, idle"]
    rows = [
        {"what": f"{case}", "text": f"{speed:.1f} steps/s ({speed / idle_before:.0%})"}
        for case, speed in best.items()
    ]
    hashes = {run["sha256"] for found in runs.values() for run in found}
    rows.append({"what": "different weights at the end", "text": str(len(hashes) - 1)})
    speed_report.publish(MODULE, given, rows, runs=runs)


def measure(steps: int, repeats: int) -> dict[str, list[dict[str, Any]]]:
    """Return the runs of each setting, idle and busy, taken in turn."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for repeat in range(repeats):
        for name, variables in SETTINGS.items():
            for busy in (False, True):
                case = f"{name}, {'beside a busy process' if busy else 'idle'}"
                speed_report.status(f"{case}: {repeat + 1} of {repeats}")
                with _busy_process() if busy else _nothing():
                    runs.setdefault(case, []).append(_run(steps, variables))
    return runs


def _run(steps: int, variables: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-m", MODULE, _CHILD, str(steps)]
    done = subprocess.run(command, env=os.environ | variables, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


@contextmanager
def _busy_process() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def train(steps: int) -> dict[str, Any]:
    """Train the embedded default from θ0; return steps per second and a hash of the weights."""
    config = PruneConfig.parse({"data": EMBEDDED_DATA, "model": EMBEDDED_MODEL})
    dataset = open_dataset(config.data)
    dataset.prepare_regions(*training_splits(dataset))
    model, tokenizer = start_weights(config, dataset)
    split = dataset.split("train")
    data = EncodedQuestions(
        split.questions,
        split.regions,
        tokenizer,
        max_tokens=config.max_tokens,
        answers=dataset.answers,
    )
    parameters = [weight for weight in model.train().parameters() if weight.requires_grad]
    optimizer = BertAdam(parameters, config.learning_rate)
    accelerator = make_accelerator("cpu", "fp32")
    batches = training_batches(data, config.batch_size, epochs=1, seed=0, workers=0)
    start = time.perf_counter()
    for step, batch in zip(range(_WARM_UP + steps), batches, strict=False):
        if step == _WARM_UP:
            start = time.perf_counter()
        training_step(model, batch, answer_loss, parameters, optimizer, accelerator)
    seconds = time.perf_counter() - start
    digest = hashlib.sha256()
    for weight in parameters:
        digest.update(weight.detach().numpy().tobytes())
    return {
        "steps_per_second": steps / seconds,
        "threads": torch.get_num_threads(),
        "sha256": digest.hexdigest(),
    }


if __name__ == "__main__":
    main()
