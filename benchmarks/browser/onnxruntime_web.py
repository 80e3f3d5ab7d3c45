"""Install onnxruntime-web, and run ONNX files in it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from benchmarks.browser.npm import LOCK, install_locked, run_command
from lxcompress.system.files import read_json

_HERE = Path(__file__).parent
_SCRIPT = "sessions.mjs"
_INSTALLED = (_SCRIPT, *LOCK)


class Answers(BaseModel):
    """What one file gave."""

    model_config = ConfigDict(frozen=True)

    load_seconds: float = Field(alias="loadSeconds", description="to make a session")
    logits: dict[str, list[float]] = Field(description="dims, and data in row-major order")
    seconds: list[float] = Field(description="of each run after the first")
    operators: list[str] = Field([], description="that one run computes; empty without `profile`")

    @property
    def array(self) -> np.ndarray:
        """The logits, float32 `[batch, answers]`."""
        dims = [int(dim) for dim in self.logits["dims"]]
        return np.array(self.logits["data"], np.float32).reshape(dims)


def install(parent: Path) -> Path:
    """Install the package of package-lock.json in `parent`, whole or not at all; return its folder.

    Another version of the package, or of our script, gets another folder.

    Raises:
        LxcompressError: Node.js or npm is missing, or npm cannot install the package.
    """
    return install_locked(_HERE, parent, "onnxruntime-web", _INSTALLED)


def run_files(
    installed: Path,
    files: Mapping[str, Path],
    inputs: Mapping[str, np.ndarray],
    *,
    rounds: int = 0,
    profile: bool = False,
) -> dict[str, Answers]:
    """Load the files in one process and run them `rounds` times in turn, after a first run.

    profile: also return the operators that the first run computes.

    Raises:
        LxcompressError: onnxruntime-web fails.
    """
    request = {
        "files": {name: str(path.resolve()) for name, path in files.items()},
        "inputs": {
            name: {"type": str(array.dtype), "dims": array.shape, "data": array.ravel().tolist()}
            for name, array in inputs.items()
        },
        "rounds": rounds,
        "profile": profile,
    }
    with tempfile.TemporaryDirectory(prefix="lxcompress-") as folder:
        paths = [Path(folder) / name for name in ("request.json", "answer.json")]
        paths[0].write_text(json.dumps(request), encoding="utf-8")
        printed = run_command(["node", _SCRIPT, *map(str, paths)], installed)
        answers = read_json(paths[1], "answer of onnxruntime-web")
    operators = _operators(printed) if profile else [[]] * len(files)
    return {
        name: Answers.model_validate({**answer, "operators": computed})
        for (name, answer), computed in zip(answers.items(), operators, strict=True)
    }


def versions(installed: Path) -> dict[str, str]:
    """Return the versions of Node.js and of the package."""
    package = installed / "node_modules" / "onnxruntime-web" / "package.json"
    return {
        "node": run_command(["node", "--version"], installed).strip().removeprefix("v"),
        "onnxruntime-web": read_json(package, "package")["version"],
    }


def _operators(profiles: str) -> list[list[str]]:
    """Return the operators of each of several profiles that ONNX Runtime has printed."""
    found, start = [], profiles.find("[")
    while start >= 0:
        events, end = json.JSONDecoder().raw_decode(profiles, start)
        found.append([event["args"]["op_name"] for event in events if event["cat"] == "Node"])
        start = profiles.find("[", end)
    return found
