"""The schema of `dataset.yaml`.

    name: vqa-v2
    train: {questions: train.json, annotations: annotations.json, regions: regions/train}
    val:   {samples: [minival.json], regions: [regions/val, regions/more]}
    test:  {questions: test.json, images: pictures/test}
    detector: butd          # or pixel; makes the regions of splits with `images:` only, once
    weights: weights/butd   # of butd, a folder; by default the published ones
    answers: answers.json   # by default built from train: answers of `min_occurrences:` (9) or more

`questions` with `annotations` are official VQA v2 JSON (OK-VQA's, VQA-CP's), `questions` alone
VizWiz's or GQA's, `samples` is LXMERT's own. Paths are relative to the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)

from lxcompress.errors import DataError
from lxcompress.system.files import check_regular, read_text
from lxcompress.system.record import first_error

DATASET_NAME = "dataset.yaml"
SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


_Paths = Annotated[list[str], BeforeValidator(_as_list)]


class SplitConfig(BaseModel):
    """One split in `dataset.yaml`; paths are as written there."""

    model_config = ConfigDict(extra="forbid")
    questions: str | None = None
    annotations: str | None = None
    samples: _Paths = Field(default_factory=list)
    regions: _Paths = Field(default_factory=list)
    images: _Paths = Field(default_factory=list)

    @model_validator(mode="after")
    def _complete(self) -> SplitConfig:
        if bool(self.questions) == bool(self.samples):
            raise ValueError("give either questions: (with annotations:) or samples:")
        if self.annotations and self.samples:
            raise ValueError("annotations: belong to questions:, not to samples:")
        if not (self.regions or self.images):
            raise ValueError("give regions:, or images: to make them from")
        return self


class DatasetConfig(BaseModel):
    """Content of `dataset.yaml`."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1)
    train: SplitConfig | None = None
    val: SplitConfig | None = None
    test: SplitConfig | None = None
    detector: str | None = None
    weights: str | None = None
    answers: str | None = None
    min_occurrences: PositiveInt = 9

    @model_validator(mode="after")
    def _makes_regions(self) -> DatasetConfig:
        splits = {name: self.split(name) for name in SPLITS}
        if not any(splits.values()):
            raise ValueError("give at least one of train:, val:, test:")
        for name, split in splits.items():
            if split and not split.regions and not self.detector:
                raise ValueError(f"{name} has images: only, so detector: must be given")
        if self.weights and not self.detector:
            raise ValueError("weights: belong to a detector: that has some")
        return self

    def split(self, name: SplitName) -> SplitConfig | None:
        """The split's entry; None when the dataset has no such split."""
        split: SplitConfig | None = getattr(self, name)
        return split


def read_config(path: Path) -> DatasetConfig:
    """Read `dataset.yaml`. Raises DataError naming the key that is wrong."""
    check_regular(path)
    try:
        content = yaml.safe_load(read_text(path))
    except OSError as problem:
        raise DataError(f"dataset not found: {path} ({problem.strerror})") from None
    except (yaml.YAMLError, ValueError) as problem:  # ValueError: not UTF-8, no such date
        raise DataError(f"not valid YAML: {_one_line(problem)}: {path}") from None
    except RecursionError:
        raise DataError(f"not valid YAML: nested too deeply: {path}") from None
    return parse_config(content, path)


def parse_config(content: object, path: Path) -> DatasetConfig:
    """Validate the content of the file `path`. Raises DataError naming the key that is wrong."""
    if not isinstance(content, dict):
        raise DataError(f"not a dataset file (no `name:`, `train:`, …): {path}")
    try:
        return DatasetConfig.model_validate(content)
    except ValidationError as problem:
        raise DataError(f"{first_error(problem)}: {path}") from None


def _one_line(problem: Exception) -> str:
    return re.sub(r"\s+", " ", str(problem))
