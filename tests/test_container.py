"""The Dockerfile: its syntax, that what it copies is there, that its commands exist.

Building it needs Docker and the network; this is what can be known without them.
"""

from __future__ import annotations

import fnmatch
import json
import shlex
import subprocess
from pathlib import Path

import pytest
import typer
from dockerfile_parse import DockerfileParser

from lxcompress.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"app", "benchmarks", "exporters", "lxcompress"}
INSTRUCTIONS = {
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
    *("ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
}


@pytest.fixture(scope="module")
def instructions(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Instructions and their values, in order."""
    copy = tmp_path_factory.mktemp("docker") / "Dockerfile"  # the parser may write to its file
    copy.write_bytes((ROOT / "Dockerfile").read_bytes())
    parsed = DockerfileParser(path=str(copy), env_replace=False).structure
    return [
        (entry["instruction"], entry["value"])
        for entry in parsed
        if entry["instruction"] != "COMMENT"
    ]


def values(instructions: list[tuple[str, str]], name: str) -> list[str]:
    return [value for instruction, value in instructions if instruction == name]


def copied(instructions: list[tuple[str, str]]) -> list[str]:
    return [source for value in values(instructions, "COPY") for source in value.split()[:-1]]


def is_ignored(name: str) -> bool:
    """Whether .dockerignore excludes a path; the last line that matches it or a parent decides."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("**/")
            parts = Path(name).parts
            paths = ["/".join(parts[: end + 1]) for end in range(len(parts))]
            anywhere = line.startswith("**/")
            if any(fnmatch.fnmatchcase(one, pattern) for one in (parts if anywhere else paths)):
                ignored = not line.startswith("!")
    return ignored


def test_every_instruction_is_one_of_docker(instructions: list[tuple[str, str]]) -> None:
    assert instructions[0][0] == "FROM"
    assert {name for name, _ in instructions} <= INSTRUCTIONS
    assert all(value.strip() for _, value in instructions)


def test_shell_commands_are_valid(instructions: list[tuple[str, str]]) -> None:
    for command in values(instructions, "RUN"):
        checked = subprocess.run(["sh", "-n", "-c", command], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr


def test_what_is_copied_is_in_the_repository(instructions: list[tuple[str, str]]) -> None:
    sources = copied(instructions)
    assert set(sources) >= PACKAGES
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not is_ignored(source), source
        ignored = subprocess.run(["git", "check-ignore", "--quiet", source], cwd=ROOT)
        assert ignored.returncode != 0, source


def test_nothing_else_is_sent_to_docker() -> None:
    for name in (".git", ".venv", "runs", "tests", "docs", "benchmarks/results", "app/__pycache__"):
        assert is_ignored(name), name
    assert not is_ignored("lxcompress/assets/lxmert-shapes/model.safetensors")


def test_the_installation_takes_the_versions_that_the_tests_pass_with(
    instructions: list[tuple[str, str]],
) -> None:
    installs = [one for one in values(instructions, "RUN") if "pip install" in one]
    assert len(installs) == 2
    assert all("--constraint constraints.txt" in one for one in installs)
    assert "https://download.pytorch.org/whl/cpu" in installs[0]  # without CUDA's libraries


def test_everything_runs_as_an_unprivileged_user(instructions: list[tuple[str, str]]) -> None:
    (user,) = values(instructions, "USER")
    assert user not in ("root", "0")
    names = [name for name, _ in instructions]
    assert names.index("USER") > max(n for n, name in enumerate(names) if name == "RUN")
    (folder,) = values(instructions, "VOLUME")
    assert any(
        "chown" in one and f"{user}:{user} {folder}" in one for one in values(instructions, "RUN")
    )
    cache = {word for value in values(instructions, "ENV") for word in shlex.split(value)}
    assert f"LXCOMPRESS_CACHE={folder}/cache" in cache
    assert values(instructions, "WORKDIR")[-1] == folder  # where the default runs/ is made


def test_the_demo_is_served_at_the_exposed_port_and_checked_there(
    instructions: list[tuple[str, str]],
) -> None:
    (command,) = values(instructions, "CMD")
    name, subcommand, *arguments = json.loads(command)
    assert (name, subcommand) == ("lxcompress", "demo")
    demo = typer.main.get_command(app).commands[subcommand]  # type: ignore[attr-defined]
    context = demo.make_context(subcommand, arguments)
    assert context.params["host"] == "0.0.0.0"
    (port,) = values(instructions, "EXPOSE")
    assert context.params["port"] == int(port)
    (health,) = values(instructions, "HEALTHCHECK")
    python, flag, code = json.loads(health[health.index("[") :])
    assert (python, flag) == ("python", "-c") and f"http://127.0.0.1:{port}/" in code
    compile(code, "HEALTHCHECK", "exec")
