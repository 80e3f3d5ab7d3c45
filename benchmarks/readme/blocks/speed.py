"""Latency, size and training speed."""

from __future__ import annotations

from typing import Any

from benchmarks.readme.blocks.parts import measured_by, read_result, table
from benchmarks.report.markdown import escape


def speed() -> str:
    """Threshold, mask and training step at full size."""
    pruning, step = read_result("pruning_speed"), read_result("training_step")
    rows = [[row["what"], row["text"]] for row in pruning["rows"] + step["rows"]]
    return (
        f"{table(['full-size LXMERT, fp32', 'measured'], rows, align='---')}\n"
        f"{measured_by(pruning['command'], pruning['environment'])}"
    )


def peers() -> str:
    """Full-size LXMERT: multiply-adds, size and latency of PyTorch, our files, torch-pruning."""
    report = read_result("peers")
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
        f"{table(columns, rows)}\n{''.join(failures)}"
        f"{measured_by(report['command'], report['environment'])}"
    )


def browser() -> str:
    """Loading and running the files in ONNX Runtime Web."""
    report = read_result("browser")
    measured = report["measurements"]
    rows = []
    for name, file in measured["files"].items():
        ratio = file.get("times_the_dense_file")
        rows.append(
            [
                f"`{name}`",
                f"{file['bytes'] / 1e6:.1f}",
                f"{file['load']['median']:.2f}",
                f"{1000 * file['run']['median']:.1f}",
                f"{ratio['estimate']:.2f}" if ratio else "",
            ]
        )
    versions = ", ".join(f"{name} {number}" for name, number in measured["versions"].items())
    ratios = "× dense file of the same precision, interleaved"
    return (
        f"{table(['file', 'MB', 'load, s', 'run, ms', ratios], rows)}\n"
        f"{measured_by(report['command'], report['environment'])}With {versions}.\n"
    )


def detector() -> str:
    """Processor seconds of the detector for a photograph, by part and setting."""
    report = read_result("detector")
    measured = report["measurements"]["settings"]
    parts = list(measured["exact"]["parts"])
    columns = ["processor seconds a photograph", *parts, "all", "× exact", "regions as exact"]
    columns.append("features differ by")
    rows = []
    for name, record in measured.items():
        regions, by_part = record["regions"], record["parts"]
        rows.append(
            [
                name,
                *(f"{by_part[part]['median']:.2f}" if by_part else "" for part in parts),
                f"{record['total']['median']:.1f}",
                f"{record['times_as_fast_as_exact']['estimate']:.1f}",
                f"{regions['matched']} of {regions['exact']}",
                f"{regions['largest_feature_difference']:.0e}",
            ]
        )
    return f"{table(columns, rows)}\n{measured_by(report['command'], report['environment'])}"


def busy_machine() -> str:
    """Speed alone and beside a busy process, with the libraries' settings and ours."""
    report = read_result("busy_machine")
    columns = [name for name in report["rows"][0] if name not in ("what", "text")]
    rows = [[row["what"], *(row[column] for column in columns)] for row in report["rows"]]
    equal = "equal" if report["measurements"]["same_bits"] else "different"
    return (
        f"{table(['speed (of the libraries, idle)', *columns], rows)}\n"
        f"Trained weights are {equal} with and without the busy process. "
        f"{measured_by(report['command'], report['environment'])}"
    )


def onnx_files() -> str:
    """Size, loading and latency of a full-size LXMERT's files."""
    report = read_result("onnx_files")
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
        f"{table(columns, rows)}\n"
        "Latency is the median of interleaved runs; memory is the peak while loading. Lower "
        "precision makes a file faster, zeros do not: a sparse file takes "
        f"{min(ratios):.2f} to {max(ratios):.2f} times as long as the dense file of the same "
        f"precision.\n\n{measured_by(report['command'], report['environment'])}"
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
