"""Batches of a full-size LXMERT's benchmarks have realistic lengths."""

import pytest
import torch

from benchmarks.readme import full_size


def test_questions_do_not_depend_on_the_padding() -> None:
    config = full_size.new_model(small=True).config
    short, full = full_size.batches(config, 32), full_size.batches(config, 32, padded_to=20)
    words = []
    for _ in range(20):
        first, second = next(short), next(full)
        width = first["input_ids"].shape[1]
        assert torch.equal(first["input_ids"], second["input_ids"][:, :width])
        assert not second["attention_mask"][:, width:].any()
        assert torch.equal(first["visual_feats"], second["visual_feats"])
        words += (first["attention_mask"].sum(dim=1) - 3).tolist()
    assert sum(words) / len(words) == pytest.approx(6.2, abs=0.25)
