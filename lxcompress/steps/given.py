"""`lxcompress prune --finetuned MODEL` and `--mask FILE`: what exists already is not made again.

A given dense model is copied into the run, and step 2 is skipped. It answers with its own answer
list, also on another dataset's questions. Under a given mask, step 3 ranks nothing.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from transformers import LxmertForQuestionAnswering

from lxcompress.config import PruneConfig
from lxcompress.data.dataset import Dataset
from lxcompress.data.questions.answers import label_index, target_scores
from lxcompress.data.questions.normalization import normalize_answer
from lxcompress.errors import ModelError
from lxcompress.model.answer_head import labels_of
from lxcompress.model.lxmert import read_config, save_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.source import ModelSource
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.structured import mask_of_units, removed_units
from lxcompress.result import GivenMask, GivenModel
from lxcompress.run import Run
from lxcompress.system.files import sha256
from lxcompress.training.start_weights import Start, check_fit, training_splits

GIVEN = "given"
"""The stage whose mask is that of `--mask`."""


def load_finetuned(config: PruneConfig, dataset: Dataset) -> Start | None:
    """Load the dense model of `--finetuned` and its tokenizer; None without one.

    Raises:
        ModelError: it is no fine-tuned LXMERT, has no answer list or tokenizer, or does not fit
            the data's regions.
        DataError: `--answers` is not an answer list, or a file of the dataset is wrong.
    """
    if config.finetuned is None:
        return None
    run = Run(Path(config.finetuned))
    if run.exists():
        raise ModelError(f"--finetuned {run.folder} is a run directory; give {run.dense}")
    source = ModelSource.open(config.finetuned, config.answers, config.tokenizer)
    labels_of(source.read_config())  # missing answers are found before the weights are read
    model, tokenizer = source.load_model(), source.load_tokenizer()
    check_fit(model.config, dataset, training_splits(dataset), tokenizer, config.max_tokens)
    return model, tokenizer


def load_given_mask(config: PruneConfig, model: LxmertForQuestionAnswering) -> Mask | None:
    """Load the mask of `--mask`; None without one.

    Raises:
        ModelError: it is no mask, does not fit the model, prunes nothing or all, or with
            `--pattern structured` not only whole heads and neurons.
    """
    if config.mask is None:
        return None
    mask = Mask.load(Path(config.mask), prunable_parameters(model))
    if not 0 < mask.pruned < mask.size:
        share = "no weight" if mask.pruned == 0 else "every prunable weight"
        raise ModelError(f"--mask {config.mask} prunes {share}; give another mask")
    if config.prunes_units:
        units = mask_of_units(model, removed_units(model, mask), None)
        if units.pruned != mask.pruned:
            raise ModelError(
                f"--mask {config.mask} does not prune whole heads and neurons only; leave out "
                "--pattern structured"
            )
    return mask


def keep_given(
    run: Run, config: PruneConfig, dataset: Dataset, finetuned: Start | None, mask: Mask | None
) -> None:
    """Copy what is given into the run, before θ0: a run with θ0 has begun and needs no other.

    What the given model cannot answer is printed now, not after hours of training.
    """
    if finetuned is not None:
        if run.dense.exists():  # of an attempt that was killed here
            shutil.rmtree(run.dense)
        save_model(*finetuned, run.dense)
        assert config.finetuned is not None
        found = _given_model(run, config.finetuned, config, dataset)
        if found.missing_answers:
            print(summary(found, len(dataset.answers)), file=sys.stderr)
    if mask is not None:
        assert config.mask is not None
        mask.save(run.stage_mask(GIVEN))
        given = GivenMask(file=config.mask, sha256=sha256(Path(config.mask)))
        run.once("given-mask", lambda: given.model_dump(mode="json"))


def what_was_given(
    run: Run, config: PruneConfig, dataset: Dataset
) -> dict[str, GivenModel | GivenMask]:
    """Return the fields of `RunResult` about a given dense model and mask, for those there are."""
    found: dict[str, GivenModel | GivenMask] = {}
    if config.finetuned is not None:
        found["finetuned"] = _given_model(run, config.finetuned, config, dataset)
    if config.mask is not None:
        # As it was when the run began.
        found["mask"] = GivenMask.model_validate(run.once("given-mask", dict))
    return found


def _given_model(run: Run, name: str, config: PruneConfig, dataset: Dataset) -> GivenModel:
    """Return which dense model a run was given, and what of the data it cannot answer."""
    labels = labels_of(read_config(run.dense))
    index, usual = label_index(labels), label_index(dataset.answers)
    unanswerable: dict[str, int] = {
        split: sum(
            bool(target_scores(question, usual)) and not target_scores(question, index)
            for question in dataset.questions(split)
            if question.is_answered
        )
        for split in training_splits(dataset)
    }
    return GivenModel(
        model=name,
        start_weights=config.model or name,
        answers=len(labels),
        missing_answers=sum(
            answer not in index and normalize_answer(answer) not in index
            for answer in dataset.answers
        ),
        unanswerable_questions=unanswerable,
    )


def summary(given: GivenModel, answers: int) -> str:
    """Say in one line what was given, and how many of the data's answers it lacks.

    answers: length of the dataset's answer list.
    """
    text = f"dense model: {given.model}, as given; not trained by this run"
    if not given.missing_answers:
        return text
    counts = " and ".join(f"{n} {split}" for split, n in given.unanswerable_questions.items())
    return (
        f"{text}. Its answer list lacks {given.missing_answers} of the data's {answers} answers: "
        f"{counts} questions have no answer that it can give"
    )
