"""Small data files for tests, built by hand."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from lxcompress.data.regions.writer import RegionWriter

SHARD = "regions-00000.safetensors"  # the first of a folder of regions


def some_regions(seed: int, count: int, feature_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Features [count, feature_size] that float16 holds exactly, and boxes [count, 4]."""
    random = np.random.default_rng(seed)
    features = random.standard_normal((count, feature_size)).astype(np.float16)
    boxes = np.sort(random.random((count, 2, 2), np.float32), axis=1).reshape(count, 4)
    return features.astype(np.float32), boxes


def write_regions(
    folder: Path | str,
    images: Iterable[str],
    *,
    detector: str = "pixel",
    feature_size: int = 8,
    size: tuple[int, int] = (30, 40),
    source: str = "",
) -> Path:
    folder = Path(folder)
    with RegionWriter(
        folder, detector, feature_size, max_regions=4, shard_rows=3, source=source
    ) as writer:
        for number, image in enumerate(images):
            writer.append(image, *some_regions(number, 1 + number % 4, feature_size), size)
        writer.finish()
    return folder


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_official(
    folder: Path, split: str, images: Sequence[int], answer: str = "yes"
) -> dict[str, Path]:
    """Two questions per picture, in the official schema; `answer` to all, ten times."""
    pairs = [(image, image * 10 + number) for image in images for number in range(2)]
    questions = [
        {"image_id": image, "question_id": question, "question": "Is it?"}
        for image, question in pairs
    ]
    annotations = [
        {
            "image_id": image,
            "question_id": question,
            "question_type": "is it",
            "answer_type": "yes/no",
            "multiple_choice_answer": answer,
            "answers": [
                {"answer": answer, "answer_confidence": "yes", "answer_id": number}
                for number in range(1, 11)
            ],
        }
        for image, question in pairs
    ]
    return {
        "questions": write_json(folder / f"{split}_questions.json", {"questions": questions}),
        "annotations": write_json(
            folder / f"{split}_annotations.json", {"annotations": annotations}
        ),
    }


def write_samples(path: Path, images: Sequence[str], first_id: int = 0) -> Path:
    """One question per picture in LXMERT's own schema."""
    rows = [
        {
            "img_id": image,
            "question_id": first_id + number,
            "sent": "What is it?",
            "question_type": "what is",
            "answer_type": "other",
            "label": {"cat": 1, "kitten": 0.3},
        }
        for number, image in enumerate(images)
    ]
    return write_json(path, rows)


def vizwiz_row(name: str, answers: Sequence[str] | None = ("basil leaves",) * 10) -> dict[str, Any]:
    """A row as in VizWiz's train.json, or in its test.json where `answers` is None."""
    row: dict[str, Any] = {"image": name, "question": "What's the name of this product?"}
    if answers is not None:
        row["answers"] = [{"answer_confidence": "yes", "answer": answer} for answer in answers]
        row |= {"answer_type": "other", "answerable": int(answers[0] != "unanswerable")}
    return row


def gqa_row(image: str, answer: str | None = "yes", structural: str = "verify") -> dict[str, Any]:
    """A row as in GQA's train_balanced_questions.json, or of a test split without `answer`."""
    row: dict[str, Any] = {"question": "Is it?", "imageId": image, "isBalanced": True}
    if answer is not None:
        row |= {
            "semantic": [{"operation": "select", "dependencies": [], "argument": "sky (2486325)"}],
            "entailed": ["02930160"],
            "equivalent": ["02930152"],
            "groups": {"global": None, "local": "06-sky_dark"},
            "answer": answer,
            "semanticStr": "select: sky (2486325)->verify color: dark [0]",
            "annotations": {"answer": {}, "question": {"2": "2486325"}, "fullAnswer": {}},
            "types": {"detailed": "verifyAttr", "semantic": "attr", "structural": structural},
            "fullAnswer": "Yes, it is.",
        }
    return row


def write_yaml(folder: Path, **content: Any) -> Path:
    """Write `dataset.yaml`; return its folder."""
    (folder / "dataset.yaml").write_text(yaml.safe_dump({"name": "test", **content}))
    return folder


def write_pictures(folder: Path, ids: Sequence[int]) -> Path:
    """Pictures of 10 x (20 + id) pixels, named as COCO names them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in ids:
        Image.new("RGB", (20 + number, 10)).save(folder / f"COCO_train2014_{number:012d}.png")
    return folder


def split_files(folder: Path, split: str, ids: Sequence[int], **more: Any) -> dict[str, Any]:
    """Write a split's official files; return its entry in `dataset.yaml`."""
    paths = write_official(folder, split, ids)
    return {key: path.name for key, path in paths.items()} | more
