"""Commands in messages can be copied into a shell as they are."""

import shlex
from pathlib import Path

import pytest
from call import Call

from lxcompress.system.shell import lxcompress_command


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
