"""Datasets in the published forms of VizWiz, VQA-CP and GQA: imported, learnt and scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from call import Call
from dataset_files import gqa_row, vizwiz_row, write_json, write_official, write_regions
from PIL import Image

from lxcompress.data.check import check_dataset
from lxcompress.data.dataset import open_dataset
from lxcompress.data.questions.formats import read_questions, without_questions
from lxcompress.errors import DataError


@pytest.mark.parametrize("dataset", ["VizWiz", "GQA"])
def test_annotations_beside_questions_with_answers_are_refused(
    call: Call, tmp_path: Path, dataset: str
) -> None:
    content: Any = [vizwiz_row("1.jpg")] if dataset == "VizWiz" else {"7": gqa_row("1")}
    questions = write_json(tmp_path / "q.json", content)
    annotations = write_official(tmp_path, "train", [1])["annotations"]
    code, _, err = call(
        *("data", "import", "--name", "x", "--output", tmp_path / "out"),
        *("--train-questions", questions, "--train-annotations", annotations),
        *("--train-regions", write_regions(tmp_path / "r", ["1"])),
    )
    assert code == 2 and not (tmp_path / "out").exists()
    assert err.startswith(f"error: {questions} is {dataset}'s JSON, which has its answers with")
    assert err.count("\n") == 1


def test_rows_are_left_out_in_every_format(tmp_path: Path) -> None:
    for content, gone in (
        ([vizwiz_row("a.jpg"), vizwiz_row("b.jpg")], "a.jpg"),
        ({"a": gqa_row("1"), "b": gqa_row("2")}, "a"),
        ([{"question_id": 1, "image_id": 1, "question": "x"}] + [VQA_CP], 1),
        ({"questions": [{"question_id": 1, "image_id": 1, "question": "x"}, VQA_CP]}, 1),
    ):
        before = read_questions(write_json(tmp_path / "q.json", content), None)
        left = without_questions(content, {gone})
        assert read_questions(write_json(tmp_path / "q.json", left), None) == before[1:]


VQA_CP = {"question_id": 2, "image_id": 2, "question": "Is it?", "coco_split": "train2014"}


def test_vizwiz_pictures_are_found_by_the_names_in_its_file(call: Call, tmp_path: Path) -> None:
    """One picture is broken; the unanswerable question is learnt like any other."""
    names = [f"VizWiz_train_{number:08d}.jpg" for number in range(4)]
    pictures = tmp_path / "train"
    pictures.mkdir()
    for name in names:
        Image.new("RGB", (40, 30), "white").save(pictures / name)
    (pictures / names[1]).write_bytes(b"\xff\xd8 cut off")
    rows = [vizwiz_row(name, ["unanswerable"] * 10) for name in names]
    test = [vizwiz_row("VizWiz_test_00000000.jpg", None)]
    regions = write_regions(tmp_path / "r", ["VizWiz_test_00000000"], feature_size=107)
    code, out, err = call(
        *("data", "import", "--name", "vizwiz", "--output", tmp_path / "data"),
        *("--train-questions", write_json(tmp_path / "train.json", rows)),
        *("--train-images", pictures, "--detector", "pixel", "--skip-broken"),
        *("--test-questions", write_json(tmp_path / "test.json", test), "--test-regions", regions),
        *("--min-occurrences", 3),
    )
    assert code == 0, err
    assert "1 broken pictures and 1 questions about them left out" in out
    dataset = open_dataset(tmp_path / "data")
    dataset.prepare_regions("train")
    assert dataset.answers == ["unanswerable"]
    train = dataset.split("train")
    assert [question.question_id for question in train.questions] == [names[0], *names[2:]]
    assert train.regions.missing([question.image_id for question in train.questions]) == []
    assert not dataset.split("test").questions[0].is_answered
    assert check_dataset(tmp_path / "data").problems == []

    results = [
        {"question_id": question.question_id, "answer": "soup"} for question in train.questions
    ]
    results[0]["answer"] = "Unanswerable"
    code, out, err = call(
        *("score", write_json(tmp_path / "results.json", results)),
        *("--questions", tmp_path / "data" / "train_questions.json"),
    )
    assert code == 0, err
    assert "VQA v2 accuracy" in out


def test_a_ticket_on_gqa_is_measured_by_accuracy(
    call: Call, tmp_path: Path, tiny_data: Path, tiny_model: Path
) -> None:
    """ShapesVQA's questions in GQA's form."""
    command = ["data", "import", "--name", "gqa", "--output", str(tmp_path / "data")]
    for split in ("train", "val"):
        files = [tiny_data / f"{split}_{kind}.json" for kind in ("questions", "annotations")]
        rows = {
            f"{question.question_id}": gqa_row(question.image_id, question.answers[0])
            | {"question": question.text}
            for question in read_questions(*files)
            if question.answers
        }
        command += [f"--{split}-questions", str(write_json(tmp_path / f"{split}.json", rows))]
        command += [f"--{split}-regions", str(tiny_data / "regions" / f"{split}-pixel")]
    code, _, err = call(*command)
    assert code == 0, err
    code, _, err = call(
        *(
            "prune",
            "--data",
            tmp_path / "data",
            "--model",
            tiny_model,
            "--output",
            tmp_path / "run",
        ),
        *("--sparsity", 0.2, "--epochs", 1, "--batch-size", 16, "--device", "cpu"),
    )
    assert code == 0, err
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["metric"] == "GQA accuracy"
    code, out, err = call(
        *("evaluate", tmp_path / "run" / "ticket", "--data", tmp_path / "data"),
        *("--device", "cpu", "--json", tmp_path / "e.json"),
    )
    assert code == 0, err
    assert "GQA accuracy" in out
    measured = json.loads((tmp_path / "e.json").read_text())
    assert measured["overall"] == round(result["ticket"]["accuracy"]["overall"], 2)
    assert measured["perAnswerType"].keys() == {"binary"}


def test_gqa_with_the_answers_of_its_published_model(call: Call, tmp_path: Path) -> None:
    rows = {"1": gqa_row("2354786"), "2": gqa_row("n161313")}
    code, _, err = call(
        *("data", "import", "--name", "gqa", "--output", tmp_path / "data"),
        *("--train-questions", write_json(tmp_path / "q.json", rows), "--answers", "lxmert-gqa"),
        *("--train-regions", write_regions(tmp_path / "r", ["2354786", "n161313"])),
    )
    assert code == 0, err
    dataset = open_dataset(tmp_path / "data")
    assert len(dataset.answers) == 1842
    assert len(dataset.split("train").questions) == 2


def test_json_of_no_known_format(tmp_path: Path) -> None:
    for content, message in (
        ({}, "has no 'questions': is it VQA v2 JSON"),
        ({"7": {"image": "1"}}, "has no 'questions'"),
        ([], "is empty"),
        ([{"img_id": "1", "question_id": 1, "sent": "x"}], "looks like LXMERT's own JSON"),
        ([{"id": 1}], "entry 0 has no 'question_id'"),
    ):
        with pytest.raises(DataError, match=message):
            read_questions(write_json(tmp_path / "q.json", content), None)
