"""The Markdown of each measured block in README.md and docs/, from its file in results/."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report.markdown import escape, table_markdown
from benchmarks.sweep import findings, tables
from benchmarks.sweep import report as sweep_report
from benchmarks.sweep.schema import Report
from lxcompress.errors import ConfigError
from lxcompress.system.files import read_json

RESULTS = Path(__file__).parents[1] / "results"


def sweep() -> str:
    """Table 1 of the whole sweep, with the paper's rows, and the findings."""
    report = _sweep("sweep")
    table = table_markdown(tables.table1(report, splits=["test-dev"]))
    sentences = "\n".join(f"- {escape(sentence)}" for sentence in findings.summary(report))
    return (
        f"{table}\n{escape(findings.published_rows(report))}\n\n{sentences}\n\n"
        f"{_measured_by(report.command, report.environment)}"
    )


def sweep_time() -> str:
    """The durations of the whole and the quick sweep."""
    lines = []
    for name in ("sweep", "sweep_quick"):
        report = _sweep(name)
        cells = len(report.cells)
        if report.cells_run != cells:
            raise ConfigError(f"{name}.json is of a sweep that was interrupted: run it in one go")
        dense = "one dense model" if len(report.dense) == 1 else f"{len(report.dense)} dense models"
        minutes = report.wall_seconds / 60
        lines.append(f"- `{report.command}`: {cells} cells and {dense} in {minutes:.1f} minutes.")
    return "\n".join(lines) + "\n"


def protocol() -> str:
    """The sparsity after retraining when the mask is not enforced, as in the authors' code."""
    report = _sweep("sweep_protocol")
    table = table_markdown(tables.protocol(report))
    return (
        f"{table}\n{escape(' '.join(findings.regrowth(report)))}\n\n"
        f"{_measured_by(report.command, report.environment)}"
    )


def main_job_shapes() -> str:
    """`lxcompress prune` on the embedded default."""
    return _main_job(_result("main_job_shapes"))


def main_job_easy_vqa() -> str:
    """`lxcompress prune` on easy-VQA, from scratch."""
    return _main_job(_result("main_job_easy_vqa"))


def _main_job(report: dict[str, Any]) -> str:
    result = report["result"]
    sparsity, size = result["ticket"]["sparsity"], result["bytes"]
    rows = [
        [kind, f"{dense:.2f}", f"{result['ticket']['accuracy'][kind]:.2f}"]
        for kind, dense in result["dense"]["accuracy"].items()
        if dense is not None
    ]
    rows += [
        ["sparsity, prunable weights", "", f"{100 * sparsity['prunable']:.1f}%"],
        ["sparsity, all parameters", "", f"{100 * sparsity['model']:.1f}%"],
        [
            "MB in fp32, zeros not stored",
            f"{size['dense'] / 1e6:.2f}",
            f"{size['bitmask'] / 1e6:.2f}",
        ],
    ]
    seconds = sum(step["seconds"] for step in report["steps"])
    return (
        f"{_table(['accuracy, %', 'dense', 'ticket'], rows)}\n"
        f"{seconds:.0f} s in total, with an empty cache, including the time to make the data. "
        f"{_measured_by(report['command'], result['environment'])}"
    )


def pretraining_phases() -> str:
    """Low-magnitude tickets from the weights of one pre-training phase, and of both."""
    report = _result("pretraining_phases")
    sparsities = [ticket["sparsity"] for ticket in report["rows"][0]["tickets"]]
    rows = [
        [
            row["start_weights"],
            f"{row['dense']['overall']:.2f}",
            *(f"{ticket['accuracy']['overall']:.2f}" for ticket in row["tickets"]),
        ]
        for row in report["rows"]
    ]
    columns = ["start weights", "dense", *map(tables.percent, sparsities)]
    return (
        f"{_table(columns, rows)}\n"
        "Overall accuracy in % of the dense model and of low-magnitude tickets by sparsity, for "
        f"one seed. {_measured_by(report['command'], report['environment'])}"
    )


def speed() -> str:
    """Threshold, mask and training step at full size."""
    pruning, step = _result("pruning_speed"), _result("training_step")
    rows = [[row["what"], row["text"]] for row in pruning["rows"] + step["rows"]]
    return (
        f"{_table(['full-size LXMERT, fp32', 'measured'], rows, align='---')}\n"
        f"{_measured_by(pruning['command'], pruning['environment'])}"
    )


def peers() -> str:
    """Full-size LXMERT: multiply-adds, size and latency of PyTorch, our files, torch-pruning."""
    report = _result("peers")
    measured = report["measurements"]
    batches = measured["latency"]
    columns = ["full-size LXMERT", "multiply-adds, billions", "MB"]
    columns += [f"batch {size}, ms" for size in batches]
    first = next(iter(batches))
    columns.append(f"× PyTorch, batch {first}")
    rows, failures = [], []
    for name, system in measured["systems"].items():
        if "error" in system:
            failures.append(f"{name} is missing: {escape(system['error'])}\n\n")
            continue
        file = measured["files"].get(name)
        times = {size: systems[name] for size, systems in batches.items() if name in systems}
        faster = times and times[first]["times_faster_than_pytorch_eager"]
        rows.append(
            [
                name if name in ("PyTorch eager", "torch-pruning") else f"ONNX, {name}",
                f"{system['multiply_adds'] / 1e9:.2f}",
                "" if file is None else f"{file['bytes'] / 1e6:.0f}",
                *(f"{1000 * times[size]['p50']:.1f}" if times else "" for size in batches),
                f"{faster:.1f}" if faster else "",
            ]
        )
    return (
        f"{_table(columns, rows)}\n{''.join(failures)}"
        f"{_measured_by(report['command'], report['environment'])}"
    )


def busy_machine() -> str:
    """Speed alone and beside a busy process, with the libraries' settings and ours."""
    report = _result("busy_machine")
    columns = [name for name in report["rows"][0] if name not in ("what", "text")]
    rows = [[row["what"], *(row[column] for column in columns)] for row in report["rows"]]
    equal = "equal" if report["measurements"]["same_bits"] else "different"
    return (
        f"{_table(['speed (of the libraries, idle)', *columns], rows)}\n"
        f"Trained weights are {equal} with and without the busy process. "
        f"{_measured_by(report['command'], report['environment'])}"
    )


def onnx_files() -> str:
    """Size, loading and latency of a full-size LXMERT's files."""
    report = _result("onnx_files")
    measured = report["measurements"]
    latency = measured["latency"]
    columns = [
        *("full-size LXMERT, 50% sparsity", "MB", "of dense fp32", "load, s", "peak memory, MB"),
        *(f"batch {size}, ms" for size in latency),
    ]
    systems = next(iter(latency.values()))
    rows = [_onnx_row(system, measured) for system in systems]
    ratios = [
        by_system[f"stock {name}"]["p50"] / by_system[f"stock {name.replace('_sparse', '')}"]["p50"]
        for by_system in latency.values()
        for name in measured["files"]
        if "sparse" in name
    ]
    return (
        f"{_table(columns, rows)}\n"
        "Latency is the median of interleaved runs; memory is the peak while loading. Lower "
        "precision makes a file faster, zeros do not: a sparse file takes "
        f"{min(ratios):.2f} to {max(ratios):.2f} times as long as the dense file of the same "
        f"precision.\n\n{_measured_by(report['command'], report['environment'])}"
    )


def _onnx_row(system: str, measured: dict[str, Any]) -> list[str]:
    """The row of "stock FILE", "runtime FILE" or a PyTorch model."""
    loader, _, name = system.partition(" ")
    sizes, loading = measured["files"], measured["loading"]
    size, load = sizes.get(name, {}).get("bytes"), loading.get(system)
    ours = ", lxcompress loader" if loader == "runtime" else ""
    return [
        system if size is None else f"`{name}`{ours}",
        "" if size is None else f"{size / 1e6:.1f}",
        "" if size is None else f"{size / sizes['model.onnx']['bytes']:.1%}",
        "" if load is None else f"{load['seconds']['median']:.2f}",
        "" if load is None else f"{load['peak_bytes']['median'] / 1e6:,.0f}",
        *(f"{1000 * systems[system]['p50']:.1f}" for systems in measured["latency"].values()),
    ]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], align: str = "---:") -> str:
    """A Markdown table whose cells are Markdown themselves."""
    lines = [columns, ["---", *[align] * (len(columns) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _measured_by(command: str, environment: dict[str, Any]) -> str:
    versions, threads = environment["versions"], environment["torch_threads"]
    return (
        f"Measured by `{command}` on {environment['processor']}, {environment['cores']} cores, "
        f"{threads} torch thread{'' if threads == 1 else 's'}, torch {versions['torch']}, "
        f"transformers {versions['transformers']}.\n"
    )


def _sweep(name: str) -> Report:
    return sweep_report.read(RESULTS / f"{name}.json")


def _result(name: str) -> dict[str, Any]:
    return read_json(RESULTS / f"{name}.json", "benchmark result")


# By the name in the marker `<!-- measured: NAME -->`.
BLOCKS: dict[str, Callable[[], str]] = {
    block.__name__: block
    for block in (
        sweep,
        sweep_time,
        protocol,
        main_job_shapes,
        main_job_easy_vqa,
        pretraining_phases,
        onnx_files,
        speed,
        peers,
        busy_machine,
    )
}
