"""Loading time and latency of exported files in onnxruntime-web, the runtime of browsers.

    python -m benchmarks.readme.browser --output benchmarks/results/browser.json

An LXMERT of full width and few layers (`LAYERS`), with random weights, half of the prunable ones
pruned by magnitude. WebAssembly, one thread, run by Node.js; the files answer the same question in
turn. A sparse file must not be slower than the dense one of the same precision, because its weights
are decoded while it is loaded.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.browser.onnxruntime_web import install, run_files, versions
from benchmarks.measure.statistics import median_ratio
from benchmarks.readme import full_size, speed_report
from benchmarks.readme.onnx_files import SPARSITY, sparse_model, write_files
from exporters.variants import VARIANTS
from lxcompress.data.batches import model_arrays
from lxcompress.system.cache import writable_cache

MODULE = "benchmarks.readme.browser"
LAYERS = {"l_layers": 2, "r_layers": 1, "x_layers": 2}
"""Six files of full size do not fit into the 4 GB of a WebAssembly module together."""

_WARM_UP = 1


def main(arguments: list[str] | None = None) -> None:
    parser = speed_report.options(MODULE, __doc__)
    parser.add_argument("--runs", type=int, default=20, help="of each file")
    given = parser.parse_args(arguments)
    speed_report.status("installing onnxruntime-web")
    installed = install(writable_cache())
    model, mask = sparse_model(given.small, LAYERS)
    inputs = model_arrays(next(full_size.batches(model.config, 1)))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        written = write_files(model, mask, folder)
        files = {variant.file: folder / variant.file for variant in VARIANTS.values()}
        speed_report.status("running the files in onnxruntime-web")
        answers = run_files(installed, files, inputs, rounds=given.runs + _WARM_UP)
    samples = {name: answer.seconds[_WARM_UP:] for name, answer in answers.items()}
    measured: dict[str, dict[str, Any]] = {}
    for variant in VARIANTS.values():
        name, dense = variant.file, VARIANTS[variant.precision].file
        measured[name] = {
            "bytes": written[name]["bytes"],
            "load": speed_report.seconds([answers[name].load_seconds]),
            "run": speed_report.seconds(samples[name]),
        }
        if variant.sparse:
            ratio = median_ratio(samples[name], samples[dense])
            measured[name]["times_the_dense_file"] = ratio.model_dump()
    speed_report.publish(
        MODULE,
        given,
        rows(measured),
        sparsity=SPARSITY,
        layers=None if given.small else LAYERS,
        versions=versions(installed),
        files=measured,
    )


def rows(measured: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
    """Return the lines of the report, one a file."""
    lines = []
    for name, record in measured.items():
        ratio = record.get("times_the_dense_file")
        times = f", {ratio['estimate']:.2f} times the dense file's" if ratio else ""
        text = (
            f"{record['bytes'] / 1e6:.1f} MB, load {record['load']['median']:.2f} s, run "
            f"{1000 * record['run']['median']:.1f} ms{times}"
        )
        lines.append({"what": name, "text": text})
    return lines


if __name__ == "__main__":
    main()
