"""Base class of the records that are written as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from lxcompress.errors import LxcompressError
from lxcompress.system.files import read_json


class Record(BaseModel):
    """Part of a JSON file: immutable, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    @classmethod
    def load(
        cls,
        path: Path,
        what: str,
        error: type[LxcompressError],
        *,
        schema: str | None = None,
        remedy: str = "",
    ) -> Self:
        """Read a JSON file of this record.

        Args:
            what: names the file in messages ("result").
            schema: the value that the file must have for its key "schema".
            remedy: what to do about a damaged file or another schema, for the message.

        Raises:
            error: the file is missing, damaged, or of another schema.
        """
        found = read_json(path, what, error)
        end = f"; {remedy}" if remedy else ""
        if schema is not None:
            given = found.get("schema") if isinstance(found, dict) else None
            if given != schema:
                raise error(f"{path} is not a {what} of schema {schema} (schema: {given!r}){end}")
        try:
            return cls.model_validate(found)
        except ValidationError as problem:
            raise error(f"{what} {path} is damaged at {first_error(problem)}{end}") from None


def first_error(problem: ValidationError) -> str:
    """Return where in the file the first error is and what it is, in one line."""
    first = problem.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"
