"""Which pictures and words a model was trained on, and which are out of distribution.

A VQA model answers any question about any picture. Where the picture or a word is unlike all of its
training data, the page says so instead of presenting a guess as an answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

from lxcompress.vision.pixel import PixelDetector
from lxcompress.vision.regions import Regions

_MAX_SIDE = 128  # px; larger pictures are reduced first
# A pixel counts as explained when its colour lies within this distance (Euclidean in RGB, 0-441)
# of the background's colour, or of the colour of the region that it is in. Measured shares of
# explained pixels: 2,000 scenes of ShapesVQA at least 0.95 (as JPEG of quality 90, 0.89);
# easy-VQA's 5,000 pictures at least 0.93; photographs at most 0.82, the ten of COCO at most 0.70.
_COLOUR_DISTANCE = 24.0
_MIN_FLAT_SHARE = 0.85
_MAX_LISTED_WORDS = 200  # a larger vocabulary is not listed


@dataclass(frozen=True)
class KnownInputs:
    """The training distribution of the models.

    data: name of the dataset; None where it is not known.
    detector: name of the detector that made its regions.
    answers: the answer vocabulary, in the order of the logits.
    words: the words of the training questions; empty when there are too many to list.
    """

    data: str | None
    detector: str
    answers: tuple[str, ...]
    words: tuple[str, ...]

    @classmethod
    def from_vocabulary(
        cls, data: str | None, detector: str, answers: list[str], tokenizer: Tokenizer
    ) -> KnownInputs:
        """Take the words from the tokenizer's vocabulary."""
        words = sorted(
            piece for piece in tokenizer.get_vocab() if len(piece) > 1 and piece.isalnum()
        )
        is_short = len(words) <= _MAX_LISTED_WORDS
        return cls(data, detector, tuple(answers), tuple(words) if is_short else ())

    @property
    def picture_kind(self) -> str:
        """A short description of the pictures that the model can answer questions about."""
        if self.detector == PixelDetector.name:
            return "drawings of flat shapes, each of one colour, on a plain background"
        return "pictures like those in the dataset" if self.data is not None else "photographs"

    @property
    def pictures(self) -> str:
        """The pictures of the training data, with the dataset's name where it is known."""
        return self.picture_kind if self.data is None else f"{self.data}: {self.picture_kind}"

    def find_objection(self, picture: Image.Image, regions: Regions) -> str | None:
        """Return why an answer about this RGB picture would be a guess; None if it would not be.

        `regions` are those that the run's detector found in `picture`.
        """
        if self.detector != PixelDetector.name:
            return None
        if regions.features[0, -1] == 1:  # PixelDetector's fallback: the whole picture
            return "Nothing in this picture stands out from its background."
        if flat_colour_share(picture, regions) < _MIN_FLAT_SHARE:
            return "This looks like a photograph, or like a drawing with more than flat shapes."
        return None


def flat_colour_share(picture: Image.Image, regions: Regions) -> float:
    """Share of an RGB picture's pixels, 0-1, explained by one background and one region colour.

    The background's colour is the median of all pixels outside the regions' boxes; a region's is
    the median that `PixelDetector` describes it with (its features 64 to 66).
    """
    small = picture.copy()
    small.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.float32)
    height, width = pixels.shape[:2]
    corners = regions.boxes * np.array([width, height, width, height], np.float32)
    windows = [
        (slice(int(top), int(np.ceil(bottom))), slice(int(left), int(np.ceil(right))))
        for left, top, right, bottom in corners
    ]
    background = np.ones((height, width), dtype=bool)
    for window in windows:
        background[window] = False
    explained = np.zeros((height, width), dtype=bool)
    if background.any():
        explained |= _has_colour(pixels, np.median(pixels[background], axis=0))
    for window, features in zip(windows, regions.features, strict=True):
        explained[window] |= _has_colour(pixels[window], (features[64:67] + 1) * 127.5)
    return float(explained.mean())


def _has_colour(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    near: np.ndarray = np.linalg.norm(pixels - colour, axis=2) <= _COLOUR_DISTANCE
    return near


def unknown_words(tokenizer: Tokenizer, question: str) -> list[str]:
    """The words of a question that were not in the training data, as the user wrote them.

    Words for which the tokenizer has no piece ([UNK]), or which it splits into single letters.
    `tokenizer` reads the whole question: see `untruncated`.
    """
    encoding = tokenizer.encode(question, add_special_tokens=False)
    pieces: dict[tuple[int, int], list[str]] = {}
    for word_id, piece in zip(encoding.word_ids, encoding.tokens, strict=True):
        span = None if word_id is None else encoding.word_to_chars(word_id)
        if span is not None:
            pieces.setdefault(span, []).append(piece.removeprefix("##"))
    unknown = [
        question[start:end]
        for (start, end), parts in pieces.items()
        if any(character.isalnum() for character in question[start:end])
        and ("[UNK]" in parts or (len(parts) > 1 and all(len(part) == 1 for part in parts)))
    ]
    return list(dict.fromkeys(unknown))


def truncated_end(tokenizer: Tokenizer, question: str) -> str:
    """The end of a question that the tokenizer truncates; empty if the whole question fits."""
    encoding = tokenizer.encode(question)
    if not encoding.overflowing:
        return ""
    last = max(end for _, end in encoding.offsets)
    return question[last:].strip()


def untruncated(tokenizer: Tokenizer) -> Tokenizer:
    """A copy of a tokenizer that neither truncates nor pads; making it parses the vocabulary."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy
