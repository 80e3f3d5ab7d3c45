"""What a model knows, and which pictures and words are beyond it.

A model answers any question about any picture. Where it never learnt what it is asked about, the
page says so rather than show a guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from tokenizers import Encoding, Tokenizer

from lxcompress.vision.pixel import PixelDetector
from lxcompress.vision.regions import Regions

_SIDE = 128  # px; larger previews are reduced first
# Share of the pixels that lie within this distance (Euclidean in RGB, 0-441) of the ground's
# colour or of the region's that they are in. Measured: 2,000 scenes of ShapesVQA 0.95 and more (as
# JPEG of quality 90 still 0.89), easy-VQA's 5,000 pictures 0.93 and more; photographs 0.82 and
# less, the ten of COCO 0.70 and less.
_DISTANCE = 24.0
_LEAST_PLAIN = 0.85
_MOST_WORDS = 200  # a vocabulary of more is not told in full


@dataclass(frozen=True)
class Knowledge:
    """What a run's models were taught.

    data: name of the dataset; detector: what made its regions; words: the words that its questions
    were written in, where they are few enough to be told, else empty.
    """

    data: str
    detector: str
    answers: tuple[str, ...]
    words: tuple[str, ...]

    @classmethod
    def of(cls, data: str, detector: str, answers: list[str], tokenizer: Tokenizer) -> Knowledge:
        """From a run's dataset and the files of its models."""
        words = sorted(
            piece for piece in tokenizer.get_vocab() if len(piece) > 1 and piece.isalnum()
        )
        few = len(words) <= _MOST_WORDS
        return cls(data, detector, tuple(answers), tuple(words) if few else ())

    @property
    def pictures(self) -> str:
        """The kind of pictures that it can be asked about, in words."""
        if self.detector == PixelDetector.name:
            return "drawings of flat shapes, each of one colour, on a plain ground"
        return "pictures like those of its data"

    def objection(self, picture: Image.Image, regions: Regions) -> str | None:
        """Why an answer about this picture would be a guess, None where it would not.

        `regions` are those that the run's detector found in `picture` (RGB).
        """
        if self.detector != PixelDetector.name:
            return None
        if regions.features[0, -1] == 1:  # PixelDetector: nothing found, the whole picture
            return "Nothing in this picture stands out from its ground."
        if plain_share(picture, regions) < _LEAST_PLAIN:
            return "This looks like a photograph, or a drawing with more than flat shapes in it."
        return None


def plain_share(picture: Image.Image, regions: Regions) -> float:
    """Share of an RGB picture, 0-1, that one colour for the ground and one for each region explain.

    The ground's is the median of all pixels outside the regions' boxes; a region's is the median
    that `PixelDetector` describes it with (its features 64 to 66).
    """
    small = picture.copy()
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.float32)
    height, width = pixels.shape[:2]
    corners = regions.boxes * np.array([width, height, width, height], np.float32)
    windows = [
        (slice(int(top), int(np.ceil(bottom))), slice(int(left), int(np.ceil(right))))
        for left, top, right, bottom in corners
    ]
    outside = np.ones((height, width), dtype=bool)
    for window in windows:
        outside[window] = False
    plain = np.zeros((height, width), dtype=bool)
    if outside.any():
        plain |= _near(pixels, np.median(pixels[outside], axis=0))
    for window, features in zip(windows, regions.features, strict=True):
        plain[window] |= _near(pixels[window], (features[64:67] + 1) * 127.5)
    return float(plain.mean())


def _near(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    near: np.ndarray = np.linalg.norm(pixels - colour, axis=2) <= _DISTANCE
    return near


def unknown_words(tokenizer: Tokenizer, question: str) -> list[str]:
    """The words of a question that the model never saw, as they are written there.

    Those that the tokenizer has no piece for ([UNK]), or can only spell out letter by letter.
    """
    whole = _encode(tokenizer, question)
    pieces: dict[tuple[int, int], list[str]] = {}
    for number, piece in zip(whole.word_ids, whole.tokens, strict=True):
        span = None if number is None else whole.word_to_chars(number)
        if span is not None:
            pieces.setdefault(span, []).append(piece.removeprefix("##"))
    found = [
        question[start:end]
        for (start, end), parts in pieces.items()
        if any(character.isalnum() for character in question[start:end])
        and ("[UNK]" in parts or (len(parts) > 1 and all(len(part) == 1 for part in parts)))
    ]
    return list(dict.fromkeys(found))


def words_cut_off(tokenizer: Tokenizer, question: str) -> str:
    """The end of a question that is too long for the model to read; empty when it reads all."""
    read = tokenizer.encode(question)
    if not read.overflowing:
        return ""
    last = max(end for _, end in read.offsets)
    return question[last:].strip()


def _encode(tokenizer: Tokenizer, question: str) -> Encoding:
    """All of a question, however long, without padding."""
    whole = Tokenizer.from_str(tokenizer.to_str())
    whole.no_truncation()
    whole.no_padding()
    return whole.encode(question, add_special_tokens=False)
