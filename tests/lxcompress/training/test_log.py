"""The log of losses: continued after an interruption, whatever a crash left in it."""

import json
from pathlib import Path

from lxcompress.training.log import TrainingLog


def test_later_and_damaged_lines_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = TrainingLog(path)
    for step in range(4):
        log(step, 1e-3, 0.5)
    whole = path.read_bytes()
    for damage in (
        b'{"step": 4, "learn',
        b"\xff\xfe}\n",
        b"\0" * 512 + b"}\n",
        b'{"no step": 1}\n',
        b'{"step": "one"}\n',
        b'["step"]\n',
        b"7\n",
        b"[" * 100_000 + b"\n",
    ):
        path.write_bytes(whole + damage)
        log.rewind(2)
        steps = [json.loads(line)["step"] for line in path.read_text().splitlines()]
        assert steps == [0, 1, 2]
