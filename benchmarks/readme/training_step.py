"""A fine-tuning step of lxcompress compared with stock Hugging Face, on a full-size LXMERT.

    python -m benchmarks.readme.training_step --output benchmarks/results/training_step.json

Both do the same questions, loss and optimizer, one step of each in turn. lxcompress uses fused
attention, skips what no answer depends on, and pads to the longest question of the batch. Stock is
the class as it is, all of it trained, with every question padded to 20 tokens as in LXMERT's code.
"""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.readme import full_size, speed_report
from benchmarks.readme.timed_training import TimedTraining, by_part

MODULE = "benchmarks.readme.training_step"
_BATCH_SIZE = 32
_STEPS = 6


def main(arguments: list[str] | None = None) -> None:
    given = speed_report.options(MODULE, __doc__).parse_args(arguments)
    measured = measure(given.small)
    ours, stock = measured["lxcompress"]["step"], measured["stock"]["step"]
    rows = [
        {
            "what": f"fine-tuning step, batch {_BATCH_SIZE}, {full_size.REGIONS} regions",
            "text": f"{ours['median']:.3g} s",
        },
        {
            "what": f"the same with stock Hugging Face, {full_size.MAX_TOKENS} tokens",
            "text": f"{stock['median']:.3g} s ({measured['times_faster']:.2f} times as long)",
        },
    ]
    speed_report.publish(MODULE, given, rows, **measured)


def measure(small: bool) -> dict[str, Any]:
    """Seconds of a step by part, for both, and the median ratio of consecutive steps."""
    model = full_size.new_model(small)
    ours = TimedTraining(model)
    stock = TimedTraining(full_size.new_model(small, stock=True))
    short = full_size.batches(model.config, _BATCH_SIZE)
    padded = full_size.batches(model.config, _BATCH_SIZE, padded_to=full_size.MAX_TOKENS)
    ours.step(next(short))  # warm-up: the first steps allocate memory
    stock.step(next(padded))
    pairs, tokens = [], []
    for number in range(1, _STEPS + 1):
        speed_report.status(f"training step of each, {number} of {_STEPS}")
        batch = next(short)
        tokens.append(batch["input_ids"].shape[1])
        pairs.append((ours.step(batch), stock.step(next(padded))))
    return {
        "batch_size": _BATCH_SIZE,
        "regions": full_size.REGIONS,
        "questions": full_size.QUESTION_LENGTHS,
        "tokens": {"lxcompress": tokens, "stock": [full_size.MAX_TOKENS] * _STEPS},
        "lxcompress": by_part([first for first, _ in pairs]),
        "stock": by_part([second for _, second in pairs]),
        "times_faster": statistics.median(
            second["step"] / first["step"] for first, second in pairs
        ),
    }


if __name__ == "__main__":
    main()
