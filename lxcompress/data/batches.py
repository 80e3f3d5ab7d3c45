"""Batches of questions and regions as tensors, for training and evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch.utils.data import DataLoader, Dataset, Sampler

from lxcompress.data.questions.answers import label_index, target_scores
from lxcompress.data.questions.question import Question
from lxcompress.errors import DataError, LxcompressError
from lxcompress.system.child_process import safe_path
from lxcompress.system.interrupts import leave_signals_to_parent

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from lxcompress.data.regions.store import RegionSource

Batch = dict[str, torch.Tensor]

MODEL_INPUTS = (
    "input_ids",
    "attention_mask",
    "token_type_ids",
    "visual_feats",
    "visual_pos",
    "visual_attention_mask",
)
# Below this size of a batch's features, loading is cheaper than passing them between processes.
_WORKERS_FROM_BYTES = 4 << 20
_TEXTS_AT_ONCE = 10_000
_CPU = torch.device("cpu")
_ALONE = "use --workers 0, which loads them in the main process"


class EncodedQuestions(Dataset[Batch]):
    """A split's questions, tokenized once; indexing with a list of rows gives a whole batch.

    A batch is padded to its own longest question and to its picture with the most regions:
    `input_ids`, `attention_mask`, `token_type_ids` `[B, T]` int64; `visual_feats [B, R, F]`
    float16 (cast on the device), `visual_pos [B, R, 4]` float32; `visual_attention_mask [B, R]`
    int64; with `answers`, `targets [B, A]` float32 soft scores; `rows [B]` int64.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        regions: RegionSource,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_tokens: int,
        answers: Sequence[str] | None = None,
    ) -> None:
        self.questions = questions
        self.regions = regions
        self.pad_token_id = int(tokenizer.pad_token_id)
        self.tokens = _Ragged(_encode([q.text for q in questions], tokenizer, max_tokens), np.int32)
        self.lengths = self.tokens.lengths
        self.num_answers = None if answers is None else len(answers)
        if answers is not None:
            index = label_index(answers)
            targets = [target_scores(question, index) for question in questions]
            if not any(targets):
                raise DataError("no question has an answer that is in the answer list")
            self.labels = _Ragged(([label for label, _ in row] for row in targets), np.int32)
            self.scores = _Ragged(([score for _, score in row] for row in targets), np.float32)

    def __len__(self) -> int:
        return len(self.questions)

    def __getitem__(self, rows: Sequence[int]) -> Batch:
        return _tensors(self.arrays(rows))

    def arrays(self, rows: Sequence[int]) -> dict[str, np.ndarray]:
        """Return the batch of these rows as arrays."""
        tokens, attention = self.tokens.padded(rows)
        input_ids = np.where(attention, tokens, self.pad_token_id).astype(np.int64)
        regions = self.regions.gather([self.questions[row].image_id for row in rows])
        seen = np.arange(regions.boxes.shape[1]) < regions.num_regions[:, None]
        batch: dict[str, np.ndarray] = {
            "input_ids": input_ids,
            "attention_mask": attention.astype(np.int64),
            "token_type_ids": np.zeros(input_ids.shape, np.int64),
            "visual_feats": regions.features,
            "visual_pos": regions.boxes,
            "visual_attention_mask": seen.astype(np.int64),
            "rows": np.asarray(rows, np.int64),
        }
        if self.num_answers is not None:
            labels, given = self.labels.padded(rows)
            scores, _ = self.scores.padded(rows)
            targets = np.zeros((len(rows), self.num_answers), np.float32)
            filled = np.nonzero(given)
            targets[filled[0], labels[filled]] = scores[filled]
            batch["targets"] = targets
        return batch


def _tensors(arrays: Mapping[str, np.ndarray]) -> Batch:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


class _Arrays(Dataset[dict[str, np.ndarray]]):
    """The batches as arrays, which reach the main process through a pipe.

    torch passes a worker's tensors through shared memory. Where that is small (64 MB in a Docker
    container by default), the worker cannot send its batch and the main process waits for ever.
    """

    def __init__(self, data: EncodedQuestions) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, rows: Sequence[int]) -> dict[str, np.ndarray]:
        return self.data.arrays(rows)


def _unchanged(batch: Any) -> Any:
    """Keep DataLoader from making tensors of the arrays in the worker."""
    return batch


class _Ragged:
    """Rows of different lengths in one flat array.

    Half a million lists would take gigabytes, and every worker process would copy them, because
    counting references writes to them.
    """

    def __init__(self, rows: Iterable[Sequence[float]], dtype: DTypeLike) -> None:
        parts = [np.asarray(row, dtype) for row in rows]
        self.lengths = np.array([len(part) for part in parts], np.int64)
        self._starts = np.cumsum(self.lengths) - self.lengths
        self._flat = np.concatenate([*parts, np.zeros(1, dtype)])  # never empty

    def padded(self, rows: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The rows as `[len(rows), longest]`, and a bool mask of where there are values."""
        lengths = self.lengths[rows]
        columns = np.arange(int(lengths.max()))
        there = columns < lengths[:, None]
        return self._flat[np.where(there, self._starts[rows][:, None] + columns, -1)], there


def _encode(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> Iterator[list[int]]:
    """Token ids of each text; in chunks, because the tokenizer's own result takes much memory."""
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        yield from tokenizer(
            list(texts[start : start + _TEXTS_AT_ONCE]),
            truncation=True,
            max_length=max_tokens,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]


class EpochBatches(Sampler[list[int]]):
    """Shuffled batches over several epochs, from any step; an epoch's last, short batch is dropped.

    The order within an epoch depends on the seed and the epoch alone, so that step k of a resumed
    run has the same batch as step k of an uninterrupted one.
    """

    def __init__(
        self, size: int, batch_size: int, *, epochs: int, seed: int, first_step: int
    ) -> None:
        self.size, self.batch_size, self.epochs = size, batch_size, epochs
        self.seed, self.first_step = seed, first_step
        self.per_epoch = size // batch_size

    def __len__(self) -> int:
        return self.per_epoch * self.epochs - self.first_step

    def __iter__(self) -> Iterator[list[int]]:
        for epoch in range(self.first_step // self.per_epoch, self.epochs):
            order = np.random.default_rng((self.seed, epoch)).permutation(self.size).tolist()
            first = (
                self.first_step - epoch * self.per_epoch
                if epoch * self.per_epoch < (self.first_step)
                else 0
            )
            for batch in range(first, self.per_epoch):
                yield order[batch * self.batch_size : (batch + 1) * self.batch_size]


def training_batches(
    data: EncodedQuestions,
    batch_size: int,
    *,
    epochs: int,
    seed: int,
    first_step: int = 0,
    workers: int | None = None,
) -> Batches:
    """All batches from `first_step` to the end."""
    sampler = EpochBatches(len(data), batch_size, epochs=epochs, seed=seed, first_step=first_step)
    return Batches(data, sampler, batch_size, workers)


def evaluation_batches(
    data: EncodedQuestions, batch_size: int, workers: int | None = None
) -> Batches:
    """Every question once, those of similar length together, so that there is little padding."""
    order = np.argsort(data.lengths, kind="stable").tolist()
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return Batches(data, batches, batch_size, workers)


class Batches:
    """Batches from a DataLoader; errors of its workers are raised without their tracebacks."""

    def __init__(
        self,
        data: EncodedQuestions,
        batches: Sampler[list[int]] | list[list[int]],
        batch_size: int,
        workers: int | None,
    ) -> None:
        if workers is None:
            batch_bytes = 2 * batch_size * data.regions.max_regions * data.regions.feature_size
            workers = 2 if batch_bytes >= _WORKERS_FROM_BYTES else 0
        # batch_size=None: the sampler's lists of rows reach EncodedQuestions as they are.
        self._loader = DataLoader(
            _Arrays(data),
            batch_size=None,
            sampler=batches,
            num_workers=workers,
            collate_fn=_unchanged,
            worker_init_fn=leave_signals_to_parent,
        )

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        try:
            yield from map(_tensors, self._arrays())
        except DataError as problem:
            # A worker's error arrives with the worker's traceback in its text.
            text = str(problem).rstrip()
            raise DataError(text.rpartition(f"{DataError.__name__}: ")[2]) from None

    def _arrays(self) -> Iterator[dict[str, np.ndarray]]:
        try:
            with safe_path():
                batches = iter(self._loader)  # starts the workers
        except OSError as problem:
            raise LxcompressError(
                f"the processes that load batches cannot be started ({problem.strerror}); {_ALONE}"
            ) from problem
        try:
            yield from batches
        except RuntimeError as problem:
            explanation = explain_killed_worker(problem)
            if explanation is None:
                raise
            raise LxcompressError(explanation) from problem


def explain_killed_worker(problem: BaseException) -> str | None:
    """Return what to do about a worker that was killed, None for any other error.

    PyTorch raises it from a signal handler: anywhere, also in the middle of a training step.
    """
    if isinstance(problem, RuntimeError) and "DataLoader worker" in str(problem):
        return f"a process that loads batches was killed, perhaps for lack of memory; {_ALONE}"
    return None


def model_inputs(batch: Mapping[str, torch.Tensor], device: torch.device) -> Batch:
    """The model's inputs in a batch, moved to `device`, features as float32."""
    moved = {name: batch[name].to(device, non_blocking=True) for name in MODEL_INPUTS}
    moved["visual_feats"] = moved["visual_feats"].float()
    return moved


def model_arrays(batch: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """The model's inputs as float32 and int64 arrays, for an exported model."""
    return {name: tensor.numpy() for name, tensor in model_inputs(batch, _CPU).items()}
