"""Malformed inputs over all commands: no traceback, no hang, nothing half-written.

`PYTHONPATH=.:tests/support python -m malformed` tries 300 and prints a table; here a part of them.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COUNT = 20  # a quarter of the command lines; all of them take three minutes


def test_every_command_ends_in_one_line() -> None:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])
    done = subprocess.run(
        [sys.executable, "-m", "malformed", "--seed", "0", "--count", str(COUNT)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"all | {COUNT} | " in done.stdout
