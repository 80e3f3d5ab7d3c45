"""Finished parts of a report, kept so that a rerun continues."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from lxcompress.errors import RunError
from lxcompress.system.files import read_json, write_json

T = TypeVar("T")


class FinishedParts:
    """Parts of a report in `folder`, all measured on the same `inputs` (a JSON object)."""

    def __init__(self, folder: Path, inputs: dict[str, Any]) -> None:
        self.folder, self.inputs = folder, inputs

    def once(
        self, name: str, kind: type[T], measure: Callable[[], T], options: dict[str, Any]
    ) -> T:
        """Return the part `name`, of type `kind`; measure it unless it is there.

        A part that was measured on other inputs or with other `options` is measured again.

        Raises:
            RunError: The part is damaged.
        """
        path, adapter = self.folder / f"{name}.json", TypeAdapter(kind)
        inputs = {**self.inputs, "options": options}
        if path.exists():
            part = read_json(path, "intermediate result", RunError)
            if isinstance(part, dict) and part.get("inputs") == inputs:
                try:
                    return adapter.validate_python(part.get("value"))
                except ValidationError as problem:
                    raise RunError(f"{path} is damaged; use --force to measure again") from problem
        value = measure()
        write_json(path, {"inputs": inputs, "value": adapter.dump_python(value, mode="json")})
        return value
