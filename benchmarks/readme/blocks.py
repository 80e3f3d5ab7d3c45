"""The Markdown of each measured block in the README and docs/, from its file in results/."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.report.markdown import escape, table_markdown
from benchmarks.sweep import findings, tables
from benchmarks.sweep import report as sweep_report
from lxcompress.errors import ConfigError
from lxcompress.system.files import read_json

RESULTS = Path(__file__).parents[1] / "results"


def sweep() -> str:
    """Table 1 of the sweep, with the paper's, and what the sweep found."""
    report = sweep_report.read(RESULTS / "sweep.json")
    table = table_markdown(tables.table1(report, splits=["test-dev"]))
    where = _where({"command": report.command, "environment": report.environment})
    found = "\n".join(f"- {escape(sentence)}" for sentence in findings.summary(report))
    return f"{table}\n{escape(findings.beside_published(report))}\n\n{found}\n\n{where}"


def sweep_time() -> str:
    """How long the sweeps took, whole and quick."""
    lines = []
    for name in ("sweep", "sweep_quick"):
        report = sweep_report.read(RESULTS / f"{name}.json")
        cells = len(report.cells)
        if report.cells_run != cells:
            raise ConfigError(f"{name}.json is of a sweep that was interrupted: run it in one go")
        dense = "one dense model" if len(report.dense) == 1 else f"{len(report.dense)} dense models"
        minutes = report.wall_seconds / 60
        lines.append(f"- `{report.command}`: {cells} cells and {dense} in {minutes:.1f} minutes.")
    return "\n".join(lines) + "\n"


def protocol() -> str:
    """What the procedure of the authors' released code leaves of the zeros, beside ours."""
    report = sweep_report.read(RESULTS / "sweep_protocol.json")
    table = table_markdown(tables.protocol(report))
    where = _where({"command": report.command, "environment": report.environment})
    return f"{table}\n{escape(' '.join(findings.grown(report)))}\n\n{where}"


def main_job_shapes() -> str:
    """The embedded default."""
    return _main_job(_result("main_job_shapes"))


def main_job_easy_vqa() -> str:
    """easy-VQA, from scratch."""
    return _main_job(_result("main_job_easy_vqa"))


def speed() -> str:
    """Threshold, mask and training step at full size."""
    pruning, step = _result("pruning_speed"), _result("training_step")
    lines = ["| full-size LXMERT, fp32 | measured |", "|---|---|"]
    lines += [f"| {row['what']} | {row['text']} |" for row in pruning["rows"] + step["rows"]]
    return "\n".join(lines) + "\n\n" + _where(pruning)


def onnx_files() -> str:
    """Size, loading and latency of a full-size LXMERT's files."""
    report = _result("onnx_files")
    measured = report["measurements"]
    sizes, loading, latency = measured["files"], measured["loading"], measured["latency"]
    full = sizes["model.onnx"]["bytes"]
    batches = list(latency)
    titles = [f"batch {size}, ms" for size in batches]
    head = ["full-size LXMERT, half pruned", "MB", "of fp32", "load, s", "memory, MB", *titles]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for system in latency[batches[0]]:
        loader, _, name = system.partition(" ")
        size, load = sizes.get(name, {}).get("bytes"), loading.get(system)
        cells = [
            system if size is None else f"`{name}`" + (", our loader" * (loader == "runtime")),
            "" if size is None else f"{size / 1e6:.1f}",
            "" if size is None else f"{size / full:.1%}",
            "" if load is None else f"{load['seconds']['median']:.2f}",
            "" if load is None else f"{load['peak_bytes']['median'] / 1e6:,.0f}",
            *(f"{1000 * latency[batch][system]['p50']:.1f}" for batch in batches),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    ratios = [
        systems[f"stock {name}"]["p50"] / systems[f"stock {_dense(name)}"]["p50"]
        for systems in latency.values()
        for name in sizes
        if "sparse" in name
    ]
    return (
        "\n".join(lines)
        + "\n\nLatency is the median of runs in turns, memory the peak. Fewer bits a weight make "
        f"a file faster, zeros do not: a sparse file takes {min(ratios):.2f} to {max(ratios):.2f} "
        "times as long as the dense file of its precision.\n\n" + _where(report)
    )


def _dense(name: str) -> str:
    return name.replace("_sparse", "")


def _main_job(report: dict[str, Any]) -> str:
    result = report["result"]
    lines = ["| accuracy % | dense | ticket |", "|---|---|---|"]
    for kind, dense in result["dense"]["accuracy"].items():
        if dense is not None:
            lines.append(f"| {kind} | {dense:.2f} | {result['ticket']['accuracy'][kind]:.2f} |")
    sparsity, size = result["ticket"]["sparsity"], result["bytes"]
    lines.append(f"| zeros, of prunable weights | | {100 * sparsity['prunable']:.1f}% |")
    lines.append(f"| zeros, of all parameters | | {100 * sparsity['model']:.1f}% |")
    lines.append(
        f"| fp32 MB, zeros left out | {size['dense'] / 1e6:.2f} | {size['bitmask'] / 1e6:.2f} |"
    )
    seconds = sum(step["seconds"] for step in report["steps"])
    environment = result["environment"]
    return (
        "\n".join(lines)
        + f"\n\n{seconds:.0f} s in all, data included, with an empty cache. "
        + _where({"command": report["command"], "environment": environment})
    )


def _where(report: dict[str, Any]) -> str:
    environment = report["environment"]
    versions = environment["versions"]
    return (
        f"Measured by `{report['command']}` on {environment['processor']}, "
        f"{environment['cores']} cores, {environment['torch_threads']} torch threads, "
        f"torch {versions['torch']}, transformers {versions['transformers']}.\n"
    )


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
        onnx_files,
        speed,
    )
}
