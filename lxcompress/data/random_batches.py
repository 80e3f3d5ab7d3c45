"""Batches of different questions drawn at random, to measure latency with."""

from __future__ import annotations

import numpy as np

from lxcompress.data.batches import EncodedQuestions, model_arrays

_SEED = 0


def random_batches(
    data: EncodedQuestions, batch_size: int, questions: int
) -> list[dict[str, np.ndarray]]:
    """Return the arrays of about `questions` different questions, in batches of mixed lengths.

    At least one batch; `batch_size` must be at most the number of questions.
    """
    order = np.random.default_rng(_SEED).permutation(len(data))
    number = max(1, min(questions, len(data)) // batch_size)
    batches = order[: number * batch_size].reshape(number, batch_size)
    return [model_arrays(data[rows.tolist()]) for rows in batches]
