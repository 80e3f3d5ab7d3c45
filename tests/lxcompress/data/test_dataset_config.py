"""Mistakes in `dataset.yaml` and in answer lists: one line that names the key."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from dataset_files import write_json, write_yaml

from lxcompress.data.dataset import open_dataset
from lxcompress.errors import DataError

REGIONS = {"questions": "q.json", "regions": "r"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: [", "not valid YAML"),
        ("name: 2024-99-99", "not valid YAML: month must be in"),
        ("[" * 10_000, "not valid YAML: nested too deeply"),
        (r'name: "\ud83d"', "name: Input should be a valid string"),
        ("- a\n- b\n", "not a dataset file"),
        ("", "not a dataset file"),
        ({"train": REGIONS}, "name: Field required"),
        ({"name": "a"}, "at least one of train:, val:, test:"),
        ({"name": "a", "train": REGIONS, "vall": REGIONS}, "vall: Extra inputs"),
        ({"name": "a", "train": {**REGIONS, "region": "r"}}, r"train\.region: Extra inputs"),
        ({"name": "a", "train": {"regions": "r"}}, "train: give either questions:"),
        ({"name": "a", "train": {**REGIONS, "samples": "s"}}, "train: give either questions:"),
        (
            {"name": "a", "train": {"samples": "s", "annotations": "a", "regions": "r"}},
            "annotations: belong to questions:",
        ),
        ({"name": "a", "train": {"questions": "q.json"}}, "give regions:, or images:"),
        ({"name": "a", "val": {"samples": "s", "images": "i"}}, "detector: must be given"),
        ({"name": "a", "train": REGIONS, "min_occurrences": 0}, "min_occurrences: .*greater"),
    ],
)
def test_mistakes_in_the_yaml_file(tmp_path: Path, content: Any, message: str) -> None:
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (tmp_path / "dataset.yaml").write_text(text)
    with pytest.raises(DataError, match=rf"{message}.*dataset\.yaml") as caught:
        open_dataset(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"yes": 0}, "a JSON list of texts, .*; this is an object"),
        (["yes", 1], "a JSON list of texts, .*; this is a list with 1"),
        ([{"ans": "yes"}], "a JSON list of texts, .*; this is a list with an object"),
        (3, "a JSON list of texts, .*; this is int"),
        ([], "is empty"),
        (["yes", "no", "yes"], "'yes' is in the list twice"),
    ],
)
def test_mistakes_in_the_answer_list(tmp_path: Path, content: Any, message: str) -> None:
    write_json(tmp_path / "answers.json", content)
    dataset = open_dataset(write_yaml(tmp_path, train=REGIONS, answers="answers.json"))
    with pytest.raises(DataError, match=message):
        _ = dataset.answers
