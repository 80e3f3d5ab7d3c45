"""The control: the dense model, trained for as long in all as a ticket.

With `--rewind lr` the ticket is trained longer in all than the dense model. What longer training
alone gains is the difference of the control to the dense model. A dense model that is given
(`--finetuned`) is trained again for all epochs of the ticket.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from transformers import LxmertForQuestionAnswering

from lxcompress.model.lxmert import load_model, save_model
from lxcompress.result import Control
from lxcompress.run import control_name
from lxcompress.steps.trainer import RunTrainer


def fine_tune_control(trainer: RunTrainer, trainings: Sequence[int] | None) -> Control | None:
    """Train the dense model of a run for as long in all as a ticket, and evaluate it.

    trainings: the epochs of the ticket's trainings from θ0, or the given dense model, on; None for
        no control. A ticket of late rewinding is trained as long as the dense model, which is its
        own control then.
    """
    if trainings is None:
        return None
    again = trainings if trainer.config.finetuned else trainings[1:]
    name = control_name(len(again)) if again else "dense"
    accuracy = trainer.accuracy(name, partial(_train, trainer, again))
    return Control(accuracy=accuracy, epochs=sum(trainings))


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
