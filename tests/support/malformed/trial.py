"""One malformed input: made, given to its command, and judged."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

from malformed.artefacts import restore
from malformed.commands import SCENARIOS, Scenario, spoil_arguments
from malformed.files import mutate_file
from malformed.forked import Outcome, run_forked

_MAY_REMAIN = ("prune", "pretrain", "sweep")
"""They leave a folder that the same command continues, where the training has begun. So does
`data convert`, which marks it with a partial.json."""


@dataclass(frozen=True)
class Trial:
    """problem: what is wrong with the command's end; None if it is right."""

    number: int
    command: str
    change: str
    arguments: list[str]
    outcome: Outcome
    problem: str | None


def run_trial(seed: int, number: int, base: Path, work: Path) -> Trial:
    """The input that a seed and a number stand for, whatever other inputs came before it."""
    rng = random.Random(f"{seed}/{number}")
    restore(base, work)
    (work / "tmp").mkdir()
    weighted = [scenario for scenario in SCENARIOS for _ in range(scenario.share)]
    scenario = weighted[number % len(weighted)]
    arguments = scenario.arguments(work)
    files = sorted({path for pattern in scenario.files for path in work.glob(pattern)})
    files = [path for path in files if path.is_file()]
    if files and rng.random() < 0.8:
        path = rng.choice(_one_of_each_kind(files, rng))
        change = f"{path.relative_to(work)}: {mutate_file(path, rng)}"
    else:
        change, arguments = spoil_arguments(arguments, work, rng)
    before = _tree(work)
    outcome = run_forked(arguments, work, scenario.seconds)
    problem = judge(scenario, arguments, outcome, work, before)
    return Trial(number, scenario.name, change, arguments, outcome, problem)


def _one_of_each_kind(files: list[Path], rng: random.Random) -> list[Path]:
    """A hundred pictures must not be chosen a hundred times as often as the one configuration."""
    kinds: dict[tuple[Path, str], list[Path]] = {}
    for path in files:
        name = path.suffix if path.suffix == ".png" else path.name
        kinds.setdefault((path.parent, name), []).append(path)
    return [rng.choice(group) for group in kinds.values()]


def judge(
    scenario: Scenario, arguments: list[str], outcome: Outcome, work: Path, before: set[str]
) -> str | None:
    """What is wrong with the end of a command, None if nothing is."""
    if outcome.code is None:
        return f"hangs: longer than {scenario.seconds:.0f} s"
    if "Traceback" in outcome.out + outcome.err:
        return f"traceback: {outcome.err.strip().splitlines()[-1]:.200}"
    if outcome.code not in (0, 2):
        return f"exit code {outcome.code}"
    new = _tree(work) - before
    leftovers = {name for name in new if ".tmp-" in name or name.startswith("tmp/")}
    if leftovers:
        return f"temporary files left: {sorted(leftovers)[:3]}"
    if outcome.code == 2:
        return _judge_refusal(scenario, outcome, new)
    output = work / "out"
    if str(output) in arguments and scenario.output in arguments and not output.exists():
        return "exit code 0 without its output"
    return None


def _judge_refusal(scenario: Scenario, outcome: Outcome, new: set[str]) -> str | None:
    lines = outcome.err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    if scenario.name == "data check" and any(line.startswith("problem: ") for line in lines):
        return None
    if len(errors) != 1 or lines[-1] != errors[0] or len(errors[0]) < 15:
        return f"no clear line: {outcome.err.strip()[-200:]!r}"
    written = {name for name in new if name.split("/")[0] in ("out", "onnx2")}
    if written and scenario.name not in _MAY_REMAIN and "out/partial.json" not in written:
        return f"half-written: {sorted(written)[:3]}"
    return None


def _tree(folder: Path) -> set[str]:
    """Every file below, relative to the folder; the cache and lock files do not count."""
    found = set()
    for parent, _, names in os.walk(folder):
        for name in names:
            path = str((Path(parent) / name).relative_to(folder))
            if not path.startswith("cache/") and not name.endswith(".lock"):
                found.add(path)
    return found
