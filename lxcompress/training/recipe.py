"""The hyperparameters of a training."""

from __future__ import annotations

from dataclasses import dataclass

from lxcompress.errors import DataError


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyperparameters; the defaults are LXMERT's for VQA (its run/vqa_finetune.bash).

    `learning_rate` is the peak after a linear warm-up over the fraction `warmup` of all steps.
    """

    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    decay_vectors: bool = True  # biases and LayerNorm too, as LXMERT does
    warmup: float = 0.1
    seed: int = 0

    def total_steps(self, questions: int) -> int:
        """Return the number of optimizer steps; the last, short batch of an epoch is dropped.

        Raises:
            DataError: the questions do not fill one batch.
        """
        if questions < self.batch_size:
            raise DataError(
                f"{questions} training questions do not fill one batch of {self.batch_size}; "
                "use a smaller --batch-size"
            )
        return self.epochs * (questions // self.batch_size)
