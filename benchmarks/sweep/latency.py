"""Export and bench the winning tickets of a sweep, for accuracy over latency."""

from __future__ import annotations

from benchmarks.bench.run import Settings, bench
from benchmarks.bench.subject import Subject
from benchmarks.frontier import report
from benchmarks.frontier.collect import collect
from benchmarks.frontier.schema import Frontier
from benchmarks.sweep.plan import Plan
from exporters.export import export
from exporters.source import Source
from exporters.variants import VARIANTS
from lxcompress.choices import Subnetwork
from lxcompress.errors import ConfigError
from lxcompress.run import Run


def check_latency(plan: Plan) -> None:
    """Raise ConfigError when the sweep has no tickets that could be exported."""
    if Subnetwork.LOW not in plan.subnetworks:
        raise ConfigError("--latency is of the low subnetworks; the sweep has none")
    if not plan.shared["enforce-mask"]:
        raise ConfigError("--latency needs sparse tickets; --no-enforce-mask leaves none")


def measure_latency(plan: Plan, command: str, settings: Settings) -> Frontier:
    """Export and bench the low subnetworks of the first seed; write the frontier beside the sweep.

    What is exported or measured already is kept.

    Raises:
        RunError, DataError, ModelError: As `export`, `bench` and `collect`.
    """
    runs = [plan.cell(Subnetwork.LOW, sparsity, plan.seeds[0]) for sparsity in plan.sparsities]
    finished = [folder for folder in runs if Run(folder).is_finished()]
    for folder in finished:
        export(Source.of(folder, None, None), list(VARIANTS.values()), "cpu")
        bench(Subject(folder), settings)
    found = collect(finished, command)
    report.write(found, plan.folder)
    return found
