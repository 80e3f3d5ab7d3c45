"""The control: the dense model, trained for as long in all as a ticket.

With `--rewind lr` the ticket is trained longer in all than the dense model. What longer training
alone gains is the difference of the control to the dense model. A dense model that is given
(`--finetuned`) is trained again for all epochs of the ticket.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from transformers import LxmertForQuestionAnswering

from lxcompress.choices import Rewind
from lxcompress.model.lxmert import load_model, save_model
from lxcompress.result import Control
from lxcompress.run import control_name
from lxcompress.steps.trainer import RunTrainer


def epochs_of_dense(trainer: RunTrainer) -> int:
    """Return how long the dense model was trained by this run or the one before: 0 if given."""
    config = trainer.config
    epochs: int = trainer.run.once("dense-epochs", lambda: 0 if config.finetuned else config.epochs)
    return epochs


def epochs_of_ticket(trainer: RunTrainer, rounds: int) -> list[int]:
    """Return the epochs of each training behind the ticket, from θ0 or a given model on."""
    own = [trainer.config.epochs] * rounds
    if trainer.config.rewind != Rewind.LR:
        return own[-1:]
    dense = epochs_of_dense(trainer)
    return [*trainer.run.once("trainings", lambda: [dense] if dense else []), *own]


def fine_tune_control(
    trainer: RunTrainer, dense: int, trainings: Sequence[int] | None
) -> Control | None:
    """Train the dense model of a run for as long in all as a ticket, and evaluate it.

    Args:
        dense: the epochs that the dense model was trained for; 0 for a given one.
        trainings: those of each training of the ticket, from θ0 or a given dense model on; None for
            no control. A ticket that was trained no longer than the dense model has that as its
            control.
    """
    if trainings is None:
        return None
    again = list(trainings[1:] if dense else trainings)
    if dense and trainings[0] != dense:  # the ticket of an earlier run was rewound to θ0
        more = sum(trainings) - dense
        again = [more] if more > 0 else []
    name = control_name(len(again)) if again else "dense"
    accuracy = trainer.accuracy(name, partial(_train, trainer, again))
    return Control(accuracy=accuracy, epochs=dense + sum(again))


def _train(trainer: RunTrainer, again: Sequence[int]) -> LxmertForQuestionAnswering:
    """Train the dense model again, once for each of these numbers of epochs."""
    run, trained = trainer.run, trainer.run.dense
    for number, epochs in enumerate(again, start=1):
        stage, start = control_name(number), trained
        trained = run.retrained(stage)
        if not trained.exists():
            model, what = load_model(start), "Fine-tuning the dense model as long again"
            trainer.train(model, stage, what, epochs=epochs)
            save_model(model, trainer.tokenizer, trained)
            run.checkpoint(stage).unlink(missing_ok=True)
    return load_model(trained)
