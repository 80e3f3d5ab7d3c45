"""Commands in messages can be copied into a shell as they are."""

import re
import shlex
from pathlib import Path

import pytest
from call import Call

import lxcompress
from lxcompress.system.shell import lxcompress_command

ROOT = Path(lxcompress.__file__).parents[1]


@pytest.mark.parametrize("folder", ["run", "my run", "it's", 'a"b', "$HOME", "a;b", "~x", "ü", "*"])
def test_a_shell_reads_each_word_as_one_argument(folder: str) -> None:
    command = lxcompress_command("export", Path(folder), "--max-tokens", 9)
    assert shlex.split(command) == ["lxcompress", "export", folder, "--max-tokens", "9"]


def test_the_next_command_after_one_with_a_space_in_its_path(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "my data"
    code, out, _ = call(
        "data", "make-shapes", "--output", folder, "--train-images", 2, "--val-images", 2
    )
    assert code == 0
    assert out.splitlines()[-1] == f"next: lxcompress data check '{folder}'"


def test_no_message_puts_a_path_into_a_command_by_hand() -> None:
    by_hand = re.compile(r"""lxcompress(?: -{0,2}[a-z]+)+ \{""")
    found = [
        f"{path}: {match[0]}"
        for package in ("lxcompress", "exporters", "benchmarks", "app")
        for path in (ROOT / package).rglob("*.py")
        for match in by_hand.finditer(path.read_text(encoding="utf-8"))
    ]
    assert not found
