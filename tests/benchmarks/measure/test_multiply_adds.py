"""The multiply-adds computed from shapes are half of the FLOPs that PyTorch counts as it runs."""

import copy

import pytest
import torch
from compacted import HALF, kept_units
from tiny import tiny_config
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import LxmertForQuestionAnswering

from benchmarks.measure.multiply_adds import multiply_adds
from lxcompress.model.attention import use_fast_attention
from lxcompress.model.compact import compact
from lxcompress.model.unused_branch import skip_unused_branch

CONFIG = tiny_config(num_attention_heads=4, l_layers=1, r_layers=2, x_layers=3)
# Without the heads through which the language reads the picture.
BLIND = {"visual_attention.att": "0"}


@pytest.fixture(scope="module")
def dense() -> LxmertForQuestionAnswering:
    torch.manual_seed(0)
    model = LxmertForQuestionAnswering(CONFIG).eval()
    use_fast_attention(model)
    skip_unused_branch(model)
    return model


def flops(model: LxmertForQuestionAnswering, tokens: int, regions: int) -> int:
    """FLOPs of one question as `FlopCounterMode` sees them, which knows no fused CPU attention."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model(
            input_ids=torch.ones(1, tokens, dtype=torch.int64),
            visual_feats=torch.zeros(1, regions, CONFIG.visual_feat_dim),
            visual_pos=torch.zeros(1, regions, 4),
        )
    return counter.get_total_flops()


@pytest.mark.parametrize(("tokens", "regions"), [(7, 5), (1, 1), (3, 36)])
def test_dense(dense: LxmertForQuestionAnswering, tokens: int, regions: int) -> None:
    assert 2 * multiply_adds(dense, tokens, regions) == flops(dense, tokens, regions)


@pytest.mark.parametrize(
    "pattern", [HALF, {"visual_attention.att": "0001", "self": "10", "inter": "00001"}]
)
def test_compact(dense: LxmertForQuestionAnswering, pattern: dict[str, str]) -> None:
    smaller = compact(dense, kept_units(dense, pattern))
    assert 2 * multiply_adds(smaller, 7, 5) == flops(smaller, 7, 5)
    assert multiply_adds(smaller, 7, 5) < multiply_adds(dense, 7, 5)


def test_what_no_answer_depends_on_is_not_counted(dense: LxmertForQuestionAnswering) -> None:
    stock = copy.deepcopy(dense)
    stock.lxmert.encoder.x_layers[-1].__class__ = type(dense.lxmert.encoder.x_layers[0])
    assert multiply_adds(stock, 7, 5) == multiply_adds(dense, 7, 5) < flops(stock, 7, 5) / 2

    blind = compact(dense, kept_units(dense, BLIND))
    assert multiply_adds(blind, 7, 5) == multiply_adds(blind, 7, 500)
