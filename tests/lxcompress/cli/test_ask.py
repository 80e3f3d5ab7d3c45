"""`lxcompress ask`: equal answers from every form of a model; regions are kept; bad input."""

from __future__ import annotations

import io
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exports import Command
from PIL import Image

from lxcompress.data.dataset import open_dataset
from lxcompress.vision.pixel import PixelDetector
from lxcompress.vision.regions import RegionObjects, Regions

QUESTION = "what color is the circle?"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LXCOMPRESS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def pictures(tiny_data: Path, tmp_path: Path) -> list[Path]:
    """Three drawings of the validation split."""
    ids = sorted({question.image_id for question in open_dataset(tiny_data).questions("val")})[:3]
    found = [next(tiny_data.rglob(f"*{image}.png")) for image in ids]
    return [Path(shutil.copy(path, tmp_path)) for path in found]


def ask_json(command: Command, *arguments: object) -> list[dict[str, Any]]:
    outcome = command("ask", *arguments, "--json", "--device", "cpu")
    assert outcome.code == 0, outcome
    return json.loads(outcome.out)


def test_every_form_of_a_model_gives_the_same_answer(
    tiny_exported: Path, pictures: list[Path], command: Command
) -> None:
    run = tiny_exported
    names = [run, run / "ticket", run / "onnx" / "model_sparse.onnx"]
    replies = [ask_json(command, name, pictures[0], QUESTION) for name in names]
    for (reply,) in replies:
        assert reply["picture"] == str(pictures[0]) and reply["question"] == QUESTION
        assert reply["answer"] == replies[0][0]["answer"] == reply["likeliest"][0]["answer"]
        probabilities = [entry["probability"] for entry in reply["likeliest"]]
        expected = [entry["probability"] for entry in replies[0][0]["likeliest"]]
        assert probabilities == pytest.approx(expected, abs=1e-4)
        assert len(probabilities) == 5 and probabilities == sorted(probabilities, reverse=True)
        assert reply["model_milliseconds"] > 0
        # The pixel detector does not classify.
        assert reply["region_names"] == [None] * len(reply["regions"])
    assert [reply[0]["regions_from_cache"] for reply in replies] == [False, True, True]


def test_the_answers_are_those_of_evaluate(
    tiny_run: Path, tiny_data: Path, command: Command, tmp_path: Path
) -> None:
    """On the pictures' own regions, the pixel detector's."""
    predictions = tmp_path / "p.json"
    arguments = ("--data", tiny_data, "--device", "cpu", "--predictions", predictions)
    assert command("evaluate", tiny_run / "ticket", *arguments).code == 0
    answers = {row["question_id"]: row["answer"] for row in json.loads(predictions.read_text())}
    for question in open_dataset(tiny_data).questions("val")[:6]:
        picture = next(tiny_data.rglob(f"*{question.image_id}.png"))
        (reply,) = ask_json(command, tiny_run, picture, question.text)
        assert reply["answer"] == answers[question.question_id]


def test_regions_are_kept_by_content(
    tiny_run: Path, pictures: list[Path], command: Command, tmp_path: Path
) -> None:
    (first,) = ask_json(command, tiny_run, pictures[0], QUESTION)
    copy = shutil.copy(pictures[0], tmp_path / "another name.png")
    (second,) = ask_json(command, tiny_run, copy, QUESTION)
    assert not first["regions_from_cache"] and second["regions_from_cache"]
    assert second["detector_milliseconds"] == 0 < first["detector_milliseconds"]
    assert (first["regions"], first["likeliest"]) == (second["regions"], second["likeliest"])
    (stored,) = (tmp_path / "cache" / "regions").rglob("*.safetensors")
    stored.write_bytes(stored.read_bytes()[:50])
    (third,) = ask_json(command, tiny_run, pictures[0], QUESTION)  # damaged: detected again
    assert not third["regions_from_cache"] and third["likeliest"] == first["likeliest"]


def test_many_pictures_and_a_file_of_questions(
    tiny_run: Path, pictures: list[Path], command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "questions.txt"
    file.write_text(f"\ufeff{QUESTION}\r\nis  there a red shape?\n", encoding="utf-8")
    replies = ask_json(command, tiny_run, *pictures, "--questions", file)
    texts = [QUESTION, "is there a red shape?"]
    assert [(reply["picture"], reply["question"]) for reply in replies] == [
        (str(picture), text) for picture in pictures for text in texts
    ]


def test_the_printed_answer(tiny_run: Path, pictures: list[Path], command: Command) -> None:
    outcome = command("ask", tiny_run, *pictures[:2], QUESTION, "--device", "cpu")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith(f"{pictures[0]}: {QUESTION} ")
    assert lines[1].count("%") == 5
    assert "detector: " in lines[2] and "; model: " in lines[2] and lines[2].endswith(" ms")


def test_the_names_of_what_the_detector_found(
    tiny_run: Path, pictures: list[Path], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    detect = PixelDetector.detect

    def classifying(self: PixelDetector, pictures: list[Image.Image]) -> list[Regions]:
        (found,) = detect(self, pictures)
        count = len(found.boxes)
        sure, ids = np.full(count, 0.9, np.float32), np.zeros(count, np.int64)
        return [replace(found, objects=RegionObjects(ids, sure, ids, sure))]

    monkeypatch.setattr(PixelDetector, "detect", classifying)
    (reply,) = ask_json(command, tiny_run, pictures[0], QUESTION)
    assert reply["region_names"] == ["gray yolk"] * len(reply["regions"])
    outcome = command("ask", tiny_run, pictures[0], QUESTION, "--device", "cpu")
    assert outcome.out.splitlines()[2] == "  regions show: gray yolk"


def test_a_picture_from_standard_input(
    tiny_run: Path, pictures: list[Path], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_input(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    with_input(pictures[0].read_bytes())
    (piped,) = ask_json(command, tiny_run, "-", QUESTION)
    (named,) = ask_json(command, tiny_run, pictures[0], QUESTION)
    assert piped["likeliest"] == named["likeliest"] and piped["picture"] == "-"
    with_input(b"")
    assert "no picture on standard input" in command("ask", tiny_run, "-", QUESTION).error


def test_bad_input(
    tiny_run: Path,
    tiny_exported: Path,
    tiny_model: Path,
    pictures: list[Path],
    command: Command,
    tmp_path: Path,
) -> None:
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.7 ...")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "cut.png").write_bytes(pictures[0].read_bytes()[:100])
    Image.new("1", (10_000, 10_001)).save(tmp_path / "huge.png")
    (tmp_path / "gap.txt").write_text(f"{QUESTION}\n\n{QUESTION}\n")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    picture, onnx = pictures[0], tiny_exported / "onnx" / "model_sparse.onnx"
    cases: list[tuple[list[object], str]] = [
        ([tiny_run, picture], 'give pictures and then the question, in quotes: PICTURE "QUESTION"'),
        ([tiny_run, picture, picture], "is a file; the last argument is the question"),
        ([tiny_run, picture, " "], "the question is empty"),
        ([tiny_run, picture, "x" * 301], "the question has 301 characters"),
        ([tiny_run, tmp_path / "absent.png", QUESTION], "picture not found"),
        ([tiny_run, tmp_path / "paper.pdf", QUESTION], "not a picture that can be read"),
        ([tiny_run, tmp_path / "phone.heic", QUESTION], "HEIC pictures cannot be read"),
        ([tiny_run, tmp_path / "huge.png", QUESTION], "more than 64 megapixels"),
        ([tiny_run, picture, tmp_path / "cut.png", QUESTION], "picture is truncated or damaged"),
        ([tiny_run, tmp_path, QUESTION], "picture expected, but this is a folder"),
        ([tiny_run, picture, "--questions", tmp_path / "gap.txt"], "gap.txt, line 2 is empty"),
        ([tiny_run, picture, "--questions", tmp_path / "empty.txt"], "empty.txt is empty"),
        ([tiny_run, picture, "--questions", tmp_path / "binary.txt"], "is not UTF-8 text"),
        ([tiny_run, picture, "--questions", tmp_path / "none.txt"], "No such file"),
        ([tmp_path / "absent", picture, QUESTION], "there is no such model folder"),
        (["nobody/nothing", picture, QUESTION], "the Hugging Face Hub did not give"),
        ([tmp_path / "absent.onnx", picture, QUESTION], "absent.onnx"),
        ([tmp_path, picture, QUESTION], "cannot load"),
        ([tiny_run, picture, QUESTION, "--detector", "dog"], "unknown detector 'dog'"),
        ([tiny_run, picture, QUESTION, "--detector-weights", "x"], "the detector pixel has none"),
        ([tiny_run, picture, QUESTION, "--device", "tpu"], "--device tpu: choose auto, cpu or"),
        ([onnx, picture, QUESTION, "--answers", "lxmert-vqa"], "has its own answers"),
        ([tiny_model, picture, QUESTION, "--answers", "lxmert-vqa"], "lists 3129 answers"),
        (
            [tiny_run, picture, QUESTION, "--detector", "butd", "--detector-weights", tmp_path],
            "not a folder of detector weights",
        ),
    ]
    for arguments, message in cases:
        error = command("ask", *arguments).error
        assert message in error, (arguments, error)
