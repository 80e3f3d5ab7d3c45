"""A full-size LXMERT with random weights, and batches of questions of realistic lengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from transformers import LxmertConfig, LxmertForQuestionAnswering

from lxcompress.data.batches import Batch
from lxcompress.model.attention import use_fast_attention
from lxcompress.model.unused_branch import skip_unused_branch

ANSWERS = 3129  # of VQA v2
REGIONS = 36
MAX_TOKENS = 20
# 6.2 words on average as in VQA v2, few questions with more than 11. A word counts as one token.
QUESTION_LENGTHS = "3 + Poisson(3.2) words, [CLS], [SEP] and ?, at most 20 tokens"
_MIN_WORDS, _MEAN_MORE_WORDS, _OTHER_TOKENS = 3, 3.2, 3


def new_config(small: bool, layers: Mapping[str, int] | None = None) -> LxmertConfig:
    """Return the architecture of `new_model`."""
    if small:
        size = {"hidden_size": 48, "num_attention_heads": 2, "intermediate_size": 96}
        few = {"l_layers": 1, "x_layers": 2, "r_layers": 1}
        return LxmertConfig(**size, **few, vocab_size=60, visual_feat_dim=16, num_qa_labels=12)
    return LxmertConfig(**(layers or {}), num_qa_labels=ANSWERS)


def new_model(
    small: bool, seed: int = 0, *, stock: bool = False, layers: Mapping[str, int] | None = None
) -> LxmertForQuestionAnswering:
    """Return an LXMERT with random weights, of VQA v2's full size or a `small` one for tests.

    It is set up as `load_model` does it, or with `stock` as Hugging Face's class is. `layers` are
    the numbers of layers of the large one, as `LxmertConfig` names them.
    """
    config = new_config(small, layers)
    torch.manual_seed(seed)
    model = LxmertForQuestionAnswering(config)
    if not stock:
        use_fast_attention(model)
        skip_unused_branch(model)
    return model


def batches(
    config: LxmertConfig, batch_size: int, *, padded_to: int | None = None, seed: int = 0
) -> Iterator[Batch]:
    """Yield batches without end, in the form of `EncodedQuestions`, of random tokens and regions.

    They are padded to the longest question of the batch, or all to `padded_to` tokens. The
    questions depend on the seed only, not on the padding.
    """
    random = np.random.default_rng(seed)
    while True:
        words = _MIN_WORDS + random.poisson(_MEAN_MORE_WORDS, batch_size)
        lengths = np.minimum(words + _OTHER_TOKENS, MAX_TOKENS)
        width = padded_to or int(lengths.max())
        attention = torch.from_numpy((np.arange(width) < lengths[:, None]).astype(np.int64))
        ids = random.integers(1, config.vocab_size, (batch_size, MAX_TOKENS))[:, :width]
        features = random.standard_normal(
            (batch_size, REGIONS, config.visual_feat_dim), dtype=np.float32
        )
        boxes = random.random((batch_size, REGIONS, 4), dtype=np.float32)
        yield {
            "input_ids": torch.from_numpy(ids) * attention,
            "attention_mask": attention,
            "token_type_ids": torch.zeros(batch_size, width, dtype=torch.int64),
            "visual_feats": torch.from_numpy(features.astype(np.float16)),
            "visual_pos": torch.from_numpy(boxes),
            "visual_attention_mask": torch.ones(batch_size, REGIONS, dtype=torch.int64),
            "targets": torch.from_numpy(
                random.random((batch_size, config.num_qa_labels), dtype=np.float32)
            ),
        }
