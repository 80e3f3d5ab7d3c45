"""Run the trials, print a table of commands and every problem with its input."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from malformed.trial import Trial

# Before anything imports torch: a fork must not inherit threads.
os.environ.update(
    OMP_NUM_THREADS="1",
    HF_HUB_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
    CUDA_VISIBLE_DEVICES="",
    COLUMNS="200",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="Number of the first input.")
    parser.add_argument("--only", type=int, action="append", help="These numbers, with output.")
    parser.add_argument("--base", type=Path, help="Keep the artefacts here, for the next time.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lxcompress-malformed-") as name:
        # Always the same path: artefacts contain absolute paths.
        folder = options.base or Path(name)
        work, base = folder / "work", folder / "base"
        _share_traces_in(folder / "traced")
        os.environ |= {"LXCOMPRESS_CACHE": str(work / "cache"), "TMPDIR": str(work / "tmp")}
        _prepare(work, base)
        numbers = options.only or range(options.first, options.first + options.count)
        problems = _run(options.seed, numbers, base, work, verbose=options.only is not None)
    sys.exit(1 if problems else 0)


def _share_traces_in(folder: Path) -> None:
    """Trace the models' graph once for all inputs, or in a test run once for all tests."""
    from traced import FOLDER, share_traces

    if FOLDER not in os.environ:
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[FOLDER] = str(folder)
    share_traces()


def _prepare(work: Path, base: Path) -> None:
    """Make the artefacts in a fork, so that this process has computed nothing."""
    from malformed import artefacts

    if not base.exists():
        process = os.fork()
        if process == 0:
            code = 1
            try:
                (work / "tmp").mkdir(parents=True)
                artefacts.make_artefacts(work)
                (work / "tmp").rmdir()
                work.rename(base)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        if os.waitpid(process, 0)[1]:
            sys.exit("the artefacts could not be made")
    _import_and_shorten()


def _import_and_shorten() -> None:
    """Import what commands import, and let the demo end at once."""
    import importlib
    from contextlib import contextmanager

    commands = ("ask", "bench", "data", "evaluate", "export", "pretrain", "prune", "sweep")
    for module in (*commands, "models.convert", "models.pack"):
        importlib.import_module(f"lxcompress.cli.{module}")
    for module in (
        *("lxcompress.lottery", "lxcompress.ticket", "lxcompress.steps.preflight"),
        *("app.answers.answering", "app.answers.stored_regions", "lxcompress.conversion.convert"),
        *("app.answers.open_service", "app.server", "benchmarks.bench.run", "exporters.export"),
    ):
        importlib.import_module(module)
    from app import server

    @contextmanager
    def serve_page(*arguments: Any, **options: Any) -> Iterator[server.ServedPage]:
        yield server.ServedPage("http://127.0.0.1:1/", None)

    server.serve_page = serve_page
    server.wait_for_interrupt = lambda: None


def _run(
    seed: int, numbers: Iterable[int], base: Path, work: Path, *, verbose: bool
) -> list[Trial]:
    """Run the trials, print those with problems and the table; return those with problems."""
    from malformed.trial import run_trial

    start = time.monotonic()
    trials: list[Trial] = []
    for number in numbers:
        trial = run_trial(seed, number, base, work)
        trials.append(trial)
        if trial.problem or verbose:
            print(f"{number}: {' '.join(trial.arguments)}\n    {trial.change}", flush=True)
            print(f"    {trial.problem} ({trial.outcome.seconds:.1f} s)", flush=True)
        if verbose:
            print(trial.outcome.out, trial.outcome.err, sep="\n")
    problems = [trial for trial in trials if trial.problem]
    print("command | inputs | refused (2) | done (0) | problems")
    counts = {
        name: Counter(trial.command for trial in chosen)
        for name, chosen in (
            ("all", trials),
            ("refused", [trial for trial in trials if trial.outcome.code == 2]),
            ("done", [trial for trial in trials if trial.outcome.code == 0]),
            ("problems", problems),
        )
    }
    for command in [*sorted(counts["all"])]:
        print(command, *(counts[name][command] for name in counts), sep=" | ")
    print("all", *(counts[name].total() for name in counts), sep=" | ")
    print(f"seed {seed}, {time.monotonic() - start:.0f} s")
    return problems


if __name__ == "__main__":
    main()
