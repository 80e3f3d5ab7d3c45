"""Questions and regions drawn at random, to check a file on where there are no data.

They are the same on every machine. What they cannot show is accuracy: nobody knows the answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from transformers import LxmertConfig, PreTrainedTokenizerBase

from lxcompress.data.batches import EncodedQuestions
from lxcompress.data.questions.question import Question
from lxcompress.data.regions.store import RegionBatch

GENERATED = "generated questions and regions, version 1"
"""In place of a dataset's fingerprint: another version checks the files again."""

_QUESTIONS = 256
_MAX_REGIONS = 36  # LXMERT's
_SEED = 0


class GeneratedRegions:
    """For each of some pictures, 1 to 36 random regions, with the interface of `RegionStore`.

    Features are like the detector's, of ReLU and mean pooling: not negative, mostly small. Boxes
    are anywhere in the picture.
    """

    max_regions = _MAX_REGIONS

    def __init__(self, pictures: int, feature_size: int) -> None:
        self.feature_size = feature_size
        self._pictures = pictures

    def gather(self, image_ids: Sequence[str]) -> RegionBatch:
        """Return the regions of pictures by number, "0" to the last."""
        parts = [self._regions(int(image)) for image in image_ids]
        counts = np.array([len(features) for features, _ in parts], np.int64)
        most = int(counts.max())
        features = np.zeros((len(parts), most, self.feature_size), np.float16)
        boxes = np.zeros((len(parts), most, 4), np.float32)
        for row, (some, corners) in enumerate(parts):
            features[row, : len(some)], boxes[row, : len(some)] = some, corners
        return RegionBatch(features, boxes, counts)

    def _regions(self, picture: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng((_SEED, picture))
        # Every fourth picture has LXMERT's 36.
        count = _MAX_REGIONS if picture % 4 == 0 else int(random.integers(1, _MAX_REGIONS + 1))
        features = random.exponential(0.5, (count, self.feature_size)).astype(np.float16)
        corners = np.sort(random.random((count, 2, 2), np.float32), axis=1)
        return features, corners.reshape(count, 4)


def generated_questions(
    config: LxmertConfig, tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> EncodedQuestions:
    """Return 256 questions of random words of the vocabulary, each about a picture of its own."""
    special = set(tokenizer.all_special_tokens)
    words = sorted(
        word
        for word in tokenizer.get_vocab()
        if word not in special and word.isalnum() and not word.startswith("##")
    )
    random = np.random.default_rng(_SEED)
    questions = [
        Question(
            number, str(number), " ".join(random.choice(words, random.integers(1, max_tokens)))
        )
        for number in range(_QUESTIONS)
    ]
    regions = GeneratedRegions(_QUESTIONS, config.visual_feat_dim)
    return EncodedQuestions(questions, regions, tokenizer, max_tokens=max_tokens)
