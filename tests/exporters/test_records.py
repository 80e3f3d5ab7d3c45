"""`export.json`: every field described, read back unchanged, and refused when damaged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from exporters import records
from exporters.records import ExportRecord, ExportReport
from lxcompress.errors import RunError


def test_every_field_is_described() -> None:
    models = [it for it in vars(records).values() if isinstance(it, type)]
    described = [it for it in models if issubclass(it, BaseModel) and it.model_fields]
    assert {ExportRecord, ExportReport} <= set(described)
    for model in described:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"


def test_reading_and_writing_changes_no_byte(tiny_exported: Path, tmp_path: Path) -> None:
    ExportReport.read(tiny_exported / "onnx").write(tmp_path)
    assert (tmp_path / "export.json").read_bytes() == (
        tiny_exported / "onnx" / "export.json"
    ).read_bytes()


def test_keys_and_their_order(tiny_exported: Path) -> None:
    """Other programs rely on the names; people on the order."""
    report = json.loads((tiny_exported / "onnx" / "export.json").read_text())
    assert list(report) == ["lxcompress", "files", "speedup"]
    assert report["speedup"] is None  # nobody required one
    for record in report["files"].values():
        assert list(record) == [
            "variant",
            "precision",
            "encoding",
            "dense_fp32_bytes",
            "formula",
            "bytes",
            "sha256",
            "pattern",
            "units",
            "parameters",
            "prunable",
            "pruned",
            "zeros",
            "largest_weight_difference",
            "questions",
            "largest_logit_difference",
            "relative_logit_difference",
            "same_answers",
            "accuracy",
            "accuracy_in_pytorch",
            "checked_on",
            "made_of",
        ]
        assert list(record["formula"]) == [
            "mask",
            "values",
            "unpruned",
            "scales",
            "total",
            "entropy_bound",
        ]
        assert list(record["made_of"]) == [
            "lxcompress",
            "files",
            "data",
            "max_tokens",
            "checked_on",
        ]


def test_no_report(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=f"^export report not found: {tmp_path}/export.json$"):
        ExportReport.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.pop("bytes"), "files.model.onnx.bytes: Field required"),
        (lambda record: record.update(bytes="many"), "files.model.onnx.bytes: Input should be a"),
        (lambda record: record.update(precision="int4"), "files.model.onnx.precision: Input"),
        (lambda record: record.update(color="red"), "files.model.onnx.color: Extra inputs are"),
        (lambda record: record["made_of"].pop("data"), "files.model.onnx.made_of.data: Field"),
    ],
)
def test_a_damaged_report_says_where(
    tiny_exported: Path, tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    report = json.loads((tiny_exported / "onnx" / "export.json").read_text())
    change(report["files"]["model.onnx"])
    (tmp_path / "export.json").write_text(json.dumps(report))
    with pytest.raises(RunError) as caught:
        ExportReport.read(tmp_path)
    assert f"export report {tmp_path}/export.json is damaged at {message}" in str(caught.value)
    assert str(caught.value).endswith("; delete it and export again")
    assert "\n" not in str(caught.value)
