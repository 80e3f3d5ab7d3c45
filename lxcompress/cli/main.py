"""The `lxcompress` command: its subcommands, and errors as one line."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

import lxcompress
from lxcompress.cli import (
    ask,
    bench,
    data,
    demo,
    evaluate,
    export,
    frontier,
    pretrain,
    prune,
    score,
    sweep,
)
from lxcompress.cli.doctor.command import doctor
from lxcompress.cli.models import convert, pack
from lxcompress.errors import Interrupted, LxcompressError
from lxcompress.system import cache
from lxcompress.system.interrupts import sigterm_interrupts
from lxcompress.system.proxies import explain_proxy

app = typer.Typer(
    name="lxcompress",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # Rich's own markup would swallow "[default: 0.5]"
    epilog="Add --debug to any command for the traceback of an error.",
)
app.command("prune")(prune.prune)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("verify")(export.verify)
app.command("bench")(bench.bench)
app.command("frontier")(frontier.frontier)
app.command("ask")(ask.ask)
app.command("demo")(demo.demo)
app.command("sweep")(sweep.sweep)
app.command("score")(score.score)
app.add_typer(data.app, name="data")
app.command("pack")(pack.pack)
app.command("unpack")(pack.unpack)
app.command("convert")(convert.convert)
app.command("pretrain")(pretrain.pretrain)
app.command("doctor")(doctor)

# Base of typer's usage errors, whichever click it depends on.
_UsageError = typer.BadParameter.__mro__[1]


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Find, train and measure lottery tickets of LXMERT for visual question answering."""
    if version:
        print(f"lxcompress {lxcompress.__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """Run the command line; exit codes 0 done, 2 wrong input or environment, 130 interrupted."""
    _print_any_character()
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    if debug:
        arguments.remove("--debug")
    try:
        with sigterm_interrupts():
            code = app(arguments, prog_name="lxcompress", standalone_mode=False)
        if code == 130:  # Ctrl-C or SIGTERM outside training, where nothing needs saving
            raise Interrupted("interrupted; the same command again continues")
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        sys.exit(130)
    except Exception as problem:
        message = _error_message(problem)
        if debug or message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)


def _print_any_character() -> None:
    """Escape characters that the output cannot encode: a locale must not lose hours of work."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _error_message(problem: Exception) -> str | None:
    """Return the message of an expected error in one line, or None for a bug."""
    if isinstance(problem, LxcompressError):
        return " ".join(str(problem).split())
    if isinstance(problem, _UsageError):
        context = getattr(problem, "ctx", None)
        command = context.command_path if context else "lxcompress"
        text = problem.format_message().rstrip(".")  # type: ignore[attr-defined]
        return f"{text}. See `{command} --help`"
    if isinstance(problem, OSError) and problem.strerror:
        in_cache = cache.explain(problem)
        if in_cache is not None:
            return in_cache
        return f"{problem.strerror}: {problem.filename}" if problem.filename else problem.strerror
    if isinstance(problem, ImportError):
        return explain_proxy(problem)
    batches = sys.modules.get("lxcompress.data.batches")
    if batches and isinstance(problem, RuntimeError):
        killed = batches.explain_killed_worker(problem)
        if killed is not None:
            return killed
    torch = sys.modules.get("torch")
    if torch and isinstance(problem, torch.OutOfMemoryError):
        return "the GPU's memory is too small for this; use a smaller --batch-size"
    return None
