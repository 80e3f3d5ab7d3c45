"""The duration of the main job as a user runs it: on the embedded default, or on easy-VQA.

    python -m benchmarks.readme.main_job shapes
    python -m benchmarks.readme.main_job easy-vqa --source ../shared/easy-vqa

The commands run in an empty folder with an empty cache, so the time to make the data counts too.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lxcompress.system.child_process import run_module
from lxcompress.system.files import read_json, write_json

_EASY_VQA = """
data import --name easy-vqa --detector pixel --output easy-vqa
    --train-questions {source}/v2_OpenEnded_mscoco_train2014_questions.json
    --train-annotations {source}/v2_mscoco_train2014_annotations.json
    --train-images {source}/train2014
    --val-questions {source}/v2_OpenEnded_mscoco_val2014_questions.json
    --val-annotations {source}/v2_mscoco_val2014_annotations.json
    --val-images {source}/val2014
prune --data easy-vqa --model-config small --output run
"""
_SHAPES = """
prune --output run
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("job", choices=["shapes", "easy-vqa"])
    parser.add_argument("--source", type=Path, help="folder of easy-VQA")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/results"), help="folder of the result"
    )
    options = parser.parse_args()
    if options.job == "easy-vqa" and options.source is None:
        parser.error("easy-vqa needs --source")
    script = _SHAPES if options.job == "shapes" else _EASY_VQA
    with tempfile.TemporaryDirectory() as folder:
        report = run_commands(script, options.source, Path(folder))
    report["command"] = " ".join(["python -m benchmarks.readme.main_job", *sys.argv[1:]])
    path = options.output / f"main_job_{options.job.replace('-', '_')}.json"
    write_json(path, report)
    print(f"{sum(step['seconds'] for step in report['steps']):.0f} s; {path}")


def run_commands(script: str, source: Path | None, folder: Path) -> dict[str, Any]:
    """Run each command of `script` in `folder`; return their wall seconds and the run's result."""
    cache = {"LXCOMPRESS_CACHE": str(folder / "cache")}
    steps = []
    for command in script.strip().replace("\n    ", " ").splitlines():
        arguments = shlex.split(command.format(source=source.resolve() if source else ""))
        start = time.monotonic()
        run_module("lxcompress", *arguments, cwd=folder, env=cache)
        seconds = time.monotonic() - start
        shown = command.format(source=source.name if source else "")
        steps.append({"command": f"lxcompress {shown}", "seconds": round(seconds, 1)})
    result = read_json(folder / "run" / "result.json", "result")
    return {"unit": "seconds of wall time; accuracy in percent", "steps": steps, "result": result}


if __name__ == "__main__":
    main()
