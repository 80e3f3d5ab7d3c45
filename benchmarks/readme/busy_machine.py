"""Speed on an idle machine and beside a busy process, with the libraries' settings and ours.

    python -m benchmarks.readme.busy_machine --output benchmarks/results/busy_machine.json

Threads that wait for each other spin. When another process needs one of the cores, the thread with
work to do waits for a core while others spin on theirs. `lxcompress.system.machine.threads`,
`lxcompress/__init__.py` and `exporters.runtime.session` change what the libraries do by default;
both are measured in turn, alone and beside an endless loop that this benchmark starts. Trainings
also hash their weights after a few steps: neighbours must not change a bit.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import onnxruntime
from torch import nn

from benchmarks.readme import full_size, speed_report
from benchmarks.readme.onnx_files import answer_metadata
from benchmarks.readme.timed_training import TimedTraining
from exporters.encodings.encode_model import encode_model
from exporters.graph.onnx_file import write_model
from exporters.graph.trace import build_graph
from exporters.runtime.session import open_session
from exporters.variants import VARIANTS
from lxcompress.config import EMBEDDED_DATA, EMBEDDED_MODEL, PruneConfig
from lxcompress.data.batches import Batch, EncodedQuestions, model_arrays, training_batches
from lxcompress.data.dataset import open_dataset
from lxcompress.model.answer_head import set_labels
from lxcompress.system.child_process import run_module
from lxcompress.system.machine.threads import set_torch_threads
from lxcompress.training.start_weights import start_weights, training_splits

MODULE = "benchmarks.readme.busy_machine"
_REPEATS, _SECONDS, _STEPS_BEFORE_HASH = 2, 4.0, 3
# What the libraries do where lxcompress does not choose; `choose_threads` reads OMP_NUM_THREADS.
_LIBRARIES = {"GOMP_SPINCOUNT": "300000", "OMP_NUM_THREADS": str(os.cpu_count())}
SETTINGS: dict[str, dict[str, str]] = {"libraries": _LIBRARIES, "lxcompress": {}}
_LAYERS = {"l_layers": 2, "x_layers": 1, "r_layers": 1}
WORKLOADS = {
    "small": "training step of the embedded model (`lxcompress prune`)",
    "large": "training step of four layers of full width, batch 8",
    "answer": "one question to these layers in ONNX Runtime, fp32",
}


def main(arguments: list[str] | None = None) -> None:
    parser = speed_report.options(MODULE, __doc__)
    parser.add_argument("--child", nargs=3, help="measure WORKLOAD SETTINGS FILE, print JSON")
    given = parser.parse_args(arguments)
    if given.child:
        workload, settings, file = given.child
        print(json.dumps(measure_here(workload, settings, Path(file), given.small)))
        return
    runs = measure(given.small)
    rows = []
    for workload, description in WORKLOADS.items():
        speed = {
            (settings, busy): median(run["per_second"] for run in runs[workload][settings][busy])
            for settings in SETTINGS
            for busy in ("idle", "busy")
        }
        today = speed["libraries", "idle"]
        rows.append(
            {
                "what": description,
                **{
                    f"{settings}, {busy}": f"{rate:.3g}/s ({rate / today:.0%})"
                    for (settings, busy), rate in speed.items()
                },
            }
        )
    for row in rows:
        row["text"] = "; ".join(f"{key}: {text}" for key, text in row.items() if key != "what")
    speed_report.publish(MODULE, given, rows, runs=runs, same_bits=same_bits(runs))


def same_bits(runs: dict[str, Any]) -> bool:
    """Whether all trainings with the settings of lxcompress ended with equal weights."""
    return all(
        len({run["sha256"] for load in runs[workload]["lxcompress"].values() for run in load}) == 1
        for workload in ("small", "large")
    )


def measure(small: bool) -> dict[str, dict[str, dict[str, list[dict[str, Any]]]]]:
    """Return the runs by workload, settings and load ("idle" or "busy"), measured in turn."""
    runs: dict[str, dict[str, dict[str, list[dict[str, Any]]]]] = {
        workload: {settings: {"idle": [], "busy": []} for settings in SETTINGS}
        for workload in WORKLOADS
    }
    with tempfile.TemporaryDirectory(prefix="lxcompress-") as folder:
        file = Path(folder) / "model.onnx"
        speed_report.status(f"writing {file.name}")
        write_file(file, small)
        for repeat in range(1 if small else _REPEATS):
            for workload, by_settings in runs.items():
                for settings, by_load in by_settings.items():
                    for load, found in by_load.items():
                        with _busy_process() if load == "busy" else nullcontext():
                            found.append(_run(workload, settings, file, small))
                        speed_report.status(
                            f"{repeat + 1}: {workload}, {settings}, {load}: "
                            f"{found[-1]['per_second']:.3g}/s"
                        )
    return runs


def _run(workload: str, settings: str, file: Path, small: bool) -> dict[str, Any]:
    options = ["--small"] if small else []
    done = run_module(
        MODULE,
        *("--child", workload, settings, str(file), *options),
        env=SETTINGS[settings],
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout)


@contextmanager
def _busy_process() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure_here(workload: str, settings: str, file: Path, small: bool) -> dict[str, Any]:
    """Return how often a second this process does the work, and a hash of trained weights."""
    digest = ""
    if workload == "answer":
        once = _answering(file, settings, small)
        once()
    else:
        training, batches = _embedded() if workload == "small" else _layers(small)
        set_torch_threads(sum(p.numel() for p in training.model.parameters()))

        def once() -> None:
            training.step(next(batches))

        for _ in range(_STEPS_BEFORE_HASH):
            once()
        digest = _hash(training.model)
    began, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < (0.2 if small else _SECONDS):
        once()
        count += 1
    return {"per_second": count / elapsed, "unit": "1/s", "sha256": digest}


def _embedded() -> tuple[TimedTraining, Iterator[Batch]]:
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
    batches = training_batches(data, config.batch_size, epochs=9, seed=0, workers=0)
    return TimedTraining(model), iter(batches)


def _layers(small: bool) -> tuple[TimedTraining, Iterator[Batch]]:
    model = full_size.new_model(small, layers=_LAYERS)
    return TimedTraining(model), full_size.batches(model.config, 8)


def write_file(path: Path, small: bool) -> None:
    """Write the layers of the workload "answer" as ONNX, fp32."""
    model = full_size.new_model(small, layers=_LAYERS)
    set_labels(model.config, [f"answer {index}" for index in range(model.config.num_qa_labels)])
    graph, parameters = build_graph(model.config), dict(model.named_parameters())
    encoded = encode_model(graph, parameters, VARIANTS["fp32"], answer_metadata(model), None)
    write_model(encoded, path)


def _answering(file: Path, settings: str, small: bool) -> Callable[[], object]:
    if settings == "libraries":
        session = onnxruntime.InferenceSession(str(file))
    else:
        session = open_session(file, "cpu")
    batch = next(full_size.batches(full_size.new_config(small, _LAYERS), 1))
    inputs = model_arrays(batch)
    return lambda: session.run(None, inputs)


def _hash(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for weight in model.state_dict().values():
        digest.update(weight.detach().numpy().tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
