"""A fine-tuning step of lxcompress against one of stock Hugging Face, on a full-size LXMERT.

    python -m benchmarks.readme.training_step --output benchmarks/results/training_step.json

The same questions, loss and optimizer, a step of each in turns. Ours: fused attention, nothing
computed that no answer depends on, padding to the longest question of the batch. Stock: the
class as it is, all of it trained, every question padded to 20 tokens as in LXMERT's own code.
"""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.readme import full_size

MODULE = "benchmarks.readme.training_step"
_BATCH_SIZE = 32
_STEPS = 6


def main(arguments: list[str] | None = None) -> None:
    given = full_size.options(MODULE, __doc__).parse_args(arguments)
    measured = measure(given.small)
    ours, stock = measured["lxcompress"]["step"], measured["stock"]["step"]
    rows = [
        {
            "what": f"fine-tuning step, batch {_BATCH_SIZE}, {full_size.REGIONS} regions",
            "text": f"{ours['median']:.3g} s",
        },
        {
            "what": f"the same with stock attention, {full_size.MAX_TOKENS} tokens, all computed",
            "text": f"{stock['median']:.3g} s ({measured['times_faster']:.2f} times as long)",
        },
    ]
    full_size.publish(MODULE, given, rows, **measured)


def measure(small: bool) -> dict[str, Any]:
    """Seconds of a step by part, for both, and the median of the ratios of neighbours."""
    model = full_size.new_model(small)
    ours, stock = (
        full_size.Trainee(model),
        full_size.Trainee(full_size.new_model(small, stock=True)),
    )
    short = full_size.batches(model.config, _BATCH_SIZE)
    full = full_size.batches(model.config, _BATCH_SIZE, padded_to=full_size.MAX_TOKENS)
    ours.step(next(short))  # the first ones allocate
    stock.step(next(full))
    pairs, tokens = [], []
    for number in range(1, _STEPS + 1):
        full_size.note(f"training step of each, {number} of {_STEPS}")
        batch = next(short)
        tokens.append(batch["input_ids"].shape[1])
        pairs.append((ours.step(batch), stock.step(next(full))))
    return {
        "batch_size": _BATCH_SIZE,
        "regions": full_size.REGIONS,
        "questions": full_size.WORDS,
        "tokens": {"lxcompress": tokens, "stock": [full_size.MAX_TOKENS] * _STEPS},
        "lxcompress": _by_part([first for first, _ in pairs]),
        "stock": _by_part([second for _, second in pairs]),
        "times_faster": statistics.median(
            second["step"] / first["step"] for first, second in pairs
        ),
    }


def _by_part(steps: list[dict[str, float]]) -> dict[str, Any]:
    return {name: full_size.seconds([step[name] for step in steps]) for name in steps[0]}


if __name__ == "__main__":
    main()
