"""Defaults of a run's settings: architectures, recipes, and what depends on other settings."""

from __future__ import annotations

from typing import Any

from lxcompress.choices import Criterion, Pattern, Rewind, n_of_m

SPARSITY = 0.5

# A small LXMERT trains with a higher learning rate; LXMERT's own recipe is the default otherwise.
SMALL_RECIPE = {"epochs": 2, "batch-size": 32, "learning-rate": 2e-4}
LXMERT_RECIPE = {"epochs": 4, "batch-size": 32, "learning-rate": 5e-5}

PRESETS: dict[str, dict[str, int | float]] = {
    "base": {},  # LxmertConfig's own defaults: 9/5/5 layers of 768, 12 heads
    "small": {
        "hidden_size": 128,
        "num_attention_heads": 4,
        "intermediate_size": 256,
        "l_layers": 2,
        "x_layers": 2,
        "r_layers": 1,
        "max_position_embeddings": 32,
        # LXMERT's 0.02 is for a width of 768; at 128, attention would start almost uniform.
        "initializer_range": 0.08,
        # A model this small underfits, so dropout would only slow it down.
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    },
}


def pattern_defaults(pattern: str) -> dict[str, Any]:
    """Return the settings whose default depends on the pattern, by option name."""
    if pattern == Pattern.STRUCTURED:
        return {"criterion": Criterion.TAYLOR, "rewind": Rewind.LR}
    kept = n_of_m(pattern)
    return {"sparsity": 1 - kept[0] / kept[1]} if kept else {}


def start_defaults(finetuned: Any, model: Any) -> dict[str, Any]:
    """Return the settings whose default depends on the given models, by option name."""
    return {"rewind": Rewind.LR} if finetuned and not model else {}


def target_defaults(speedup: Any, mask: Any = None) -> dict[str, Any]:
    """Return the settings whose default depends on a given speedup or mask, by option name."""
    if speedup is None and mask is not None:
        return {}
    if speedup is None:
        return {"sparsity": SPARSITY}
    return {"pattern": Pattern.STRUCTURED, "speedup-precision": "fp32", "speedup-batch": 1}
