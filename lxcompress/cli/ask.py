"""`lxcompress ask`: answers to questions about pictures, on the command line."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lxcompress.cli.options import (
    Answers,
    Detector,
    DetectorPrecision,
    DetectorWeights,
    OtherTokenizer,
    Proposals,
    Screening,
)
from lxcompress.vision.butd.setting import MAX_PROPOSALS

if TYPE_CHECKING:
    from app.answers.answering import TimedAnswer
    from app.answers.stored_regions import FoundRegions

_STANDARD_INPUT = "-"
_NAMES_PRINTED = 5


def ask(
    model: Annotated[
        str, typer.Argument(help="Run directory, model folder, hub id, or exported .onnx file.")
    ],
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar='PICTURE... "QUESTION"',
            help="Pictures (- for standard input), then the question; with --questions pictures "
            "only.",
        ),
    ],
    questions: Annotated[
        Path | None,
        typer.Option(help="File of questions, one a line: each is asked about every picture."),
    ] = None,
    answers: Answers = None,
    tokenizer: OtherTokenizer = None,
    detector: Detector = None,
    detector_weights: DetectorWeights = None,
    detector_precision: DetectorPrecision = "auto",
    proposals: Proposals = MAX_PROPOSALS,
    screening: Screening = True,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list, one object for each answer.")
    ] = False,
) -> None:
    """Answer a question about one or more pictures.

    Prints the answer, the five likeliest with their probabilities, what the detector butd found in
    the picture, and how long the detector and the model took. Regions are kept in the cache by the
    picture's content, so that a second question about a picture is answered at once.

    Example: lxcompress ask unc-nlp/lxmert-vqa-uncased bus.jpg "what color is the bus?"
    """
    from app.answers.answering import open_answering
    from app.answers.stored_regions import StoredRegions
    from lxcompress.errors import ConfigError
    from lxcompress.system.machine.device import resolve_device
    from lxcompress.system.progress import progress
    from lxcompress.vision.butd.setting import DetectorSetting
    from lxcompress.vision.pictures import picture_size

    setting = DetectorSetting(detector_precision, proposals, screening)
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device {device}: choose auto, cpu or cuda")
    names, texts = _parse(inputs, questions)
    with ExitStack() as stack:
        pictures = {name: _picture_file(name, stack) for name in names}
        for path in pictures.values():
            picture_size(path)  # what its header tells is known before models are loaded
        definite = resolve_device(device)
        opened = open_answering(model, answers, tokenizer, detector, definite)
        regions = StoredRegions(
            opened.detector, detector_weights, device, opened.feature_size, setting
        )
        results = []
        with progress("Looking at pictures", len(pictures), "pictures") as meter:
            for name, path in pictures.items():
                found = regions.detect(path)
                meter.advance()
                for text in texts:
                    answer = opened.answer(text, found.regions)
                    results.append(_to_json(name, text, found, answer))
                    if not as_json:
                        _print(name, text, found, answer)
        if as_json:
            print(json.dumps(results, indent=2, ensure_ascii=False))


def _parse(inputs: list[str], questions: Path | None) -> tuple[list[str], list[str]]:
    """Return the names of the pictures, each once, and the questions."""
    from lxcompress.errors import ConfigError

    if questions is not None:
        return list(dict.fromkeys(inputs)), _read_questions(questions)
    *names, question = inputs
    if not names:
        raise ConfigError('give pictures and then the question, in quotes: PICTURE "QUESTION"')
    text = _clean(question, "the question")
    with suppress(OSError):  # longer than a file's name may be
        if Path(question).is_file():
            raise ConfigError(f"{question} is a file; the last argument is the question, in quotes")
    return list(dict.fromkeys(names)), [text]


def _read_questions(path: Path) -> list[str]:
    from lxcompress.errors import DataError
    from lxcompress.system.files import check_regular, read_text

    check_regular(path)
    try:
        lines = read_text(path).splitlines()
    except UnicodeDecodeError:
        raise DataError(f"--questions {path} is not UTF-8 text") from None
    if not lines:
        raise DataError(f"--questions {path} is empty")
    return [_clean(line, f"--questions {path}, line {row}") for row, line in enumerate(lines, 1)]


def _clean(text: str, what: str) -> str:
    from app.answers.service import clean_question
    from lxcompress.errors import DataError

    if not text.strip():
        raise DataError(f"{what} is empty")
    try:
        return clean_question(text)
    except DataError as problem:
        raise DataError(f"{what}: {problem}") from None


def _picture_file(name: str, stack: ExitStack) -> Path:
    """Return the file of a picture; standard input is written to a temporary one."""
    from lxcompress.errors import DataError

    if name != _STANDARD_INPUT:
        return Path(name)
    content = sys.stdin.buffer.read()
    if not content:
        raise DataError("there is no picture on standard input")
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lxcompress-"))
    path = Path(folder) / "standard-input"
    path.write_bytes(content)
    return path


def _to_json(name: str, question: str, found: FoundRegions, answer: TimedAnswer) -> dict[str, Any]:
    from lxcompress.vision.region_names import region_names

    return {
        "picture": name,
        "question": question,
        "answer": answer.text,
        "likeliest": [{"answer": text, "probability": share} for text, share in answer.likeliest],
        "regions": found.regions.boxes.tolist(),
        "region_names": region_names(found.regions),
        "detector_milliseconds": found.milliseconds,
        "regions_from_cache": found.was_stored,
        "model_milliseconds": answer.milliseconds,
    }


def _print(name: str, question: str, found: FoundRegions, answer: TimedAnswer) -> None:
    detector = "regions from the cache" if found.was_stored else _time(found.milliseconds)
    print(f"{name}: {question} {_display(answer.text)}")
    print("  " + ", ".join(f"{_display(text)} {share:.1%}" for text, share in answer.likeliest))
    if objects := _most_certain(found):
        print(f"  regions show: {', '.join(objects)}")
    print(f"  detector: {detector}; model: {_time(answer.milliseconds)}", flush=True)


def _most_certain(found: FoundRegions) -> list[str]:
    """Up to five different names of regions, the most certain first, as the detector sorts them."""
    from lxcompress.vision.region_names import region_names

    names = [name for name in region_names(found.regions) if name is not None]
    return list(dict.fromkeys(names))[:_NAMES_PRINTED]


def _display(answer: str) -> str:
    return answer or "(nothing)"  # LXMERT's own answer list contains the empty string


def _time(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds:.0f} ms"
