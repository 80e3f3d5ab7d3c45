"""The network's parameters, and its values, against the numpy reference."""

import json

import butd_reference as reference
import numpy as np
import pytest
import torch
from butd_tiny import TINY, random_network
from shared import SHARED

from lxcompress.vision.butd.network import BottomUpNetwork, expected_shapes

SHAPES = SHARED / "reference" / "butd_state_dict_shapes.json"


@pytest.fixture(scope="module")
def full_shapes() -> dict[str, list[int]]:
    with torch.device("meta"):
        network = BottomUpNetwork()
    return {name: list(shape) for name, shape in expected_shapes(network).items()}


@pytest.mark.skipif(not SHAPES.is_file(), reason="the reference files are not here")
def test_parameters_are_those_of_the_checkpoint(full_shapes: dict[str, list[int]]) -> None:
    assert full_shapes == json.loads(SHAPES.read_text())


def test_parameters_are_those_of_resnet_101_c4(full_shapes: dict[str, list[int]]) -> None:
    """Compared with shapes computed from the architecture's description."""
    expected: dict[str, list[int]] = {}

    def convolution(name: str, out: int, inside: int, size: int) -> None:
        expected[f"{name}.weight"] = [out, inside, size, size]
        for part in ("weight", "bias", "running_mean", "running_var"):
            expected[f"{name}.norm.{part}"] = [out]

    convolution("backbone.stem.conv1", 64, 3, 7)
    inside = 64
    for stage, blocks, out in (
        ("backbone.res2", 3, 256),
        ("backbone.res3", 4, 512),
        ("backbone.res4", 23, 1024),
        ("roi_heads.res5", 3, 2048),
    ):
        for block in range(blocks):
            name = f"{stage}.{block}"
            if block == 0:
                convolution(f"{name}.shortcut", out, inside, 1)
            convolution(f"{name}.conv1", out // 4, inside, 1)
            convolution(f"{name}.conv2", out // 4, out // 4, 3)
            convolution(f"{name}.conv3", out, out // 4, 1)
            inside = out
    rpn, heads = "proposal_generator.rpn_head", "roi_heads.box_predictor"
    layers = {
        f"{rpn}.conv": [512, 1024, 3, 3],
        f"{rpn}.objectness_logits": [12, 512, 1, 1],
        f"{rpn}.anchor_deltas": [48, 512, 1, 1],
        f"{heads}.cls_score": [1601, 2048],
        f"{heads}.bbox_pred": [6400, 2048],
        f"{heads}.fc_attr": [512, 2304],
        f"{heads}.attr_score": [401, 512],
    }
    for name, shape in layers.items():
        expected |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    expected[f"{heads}.cls_embedding.weight"] = [1601, 256]
    expected["proposal_generator.anchor_generator.cell_anchors.0"] = [12, 4]
    assert full_shapes == expected


@pytest.mark.parametrize(("seed", "size"), [(0, (96, 144)), (1, (160, 96)), (2, (37, 160))])
def test_values_are_those_of_the_reference(seed: int, size: tuple[int, int]) -> None:
    network = random_network(seed, TINY)
    picture = 60 * torch.randn(3, *size, generator=torch.Generator().manual_seed(seed))
    found = network(picture)
    weights = {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}
    expected = reference.Network(weights).propose(
        picture.double().numpy(), TINY.anchor_sizes, TINY.anchor_ratios, TINY.max_proposals
    )
    assert len(found.boxes) == len(expected["boxes"]) > 20
    np.testing.assert_allclose(found.boxes, np.array(expected["boxes"]), atol=2e-3)
    for name in ("features", "class_logits", "attribute_logits", "deltas"):
        values = getattr(found, name).numpy()
        assert values.shape == expected[name].shape
        assert expected[name].std(axis=0).mean() > 0.05, (
            "regions that differ in nothing test nothing"
        )
        np.testing.assert_allclose(values, expected[name], rtol=1e-3, atol=1e-3)


def test_without_any_box_inside_the_whole_picture_is_proposed() -> None:
    network = random_network(0, TINY)
    state = network.state_dict()
    state["proposal_generator.rpn_head.anchor_deltas.bias"][0::4] = 1e6  # far to the right
    proposals = network(torch.zeros(3, 96, 120))
    assert proposals.boxes.tolist() == [[0, 0, 120, 96]]
    assert proposals.features.shape == (1, TINY.feature_size)
    assert proposals.features.isfinite().all()


def test_features_do_not_depend_on_how_many_regions_are_computed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, picture = random_network(3, TINY), 60 * torch.randn(3, 96, 96)
    usual = network(picture)
    monkeypatch.setattr("lxcompress.vision.butd.heads._ROIS_AT_ONCE", 7)
    chunked = network(picture)
    torch.testing.assert_close(chunked.features, usual.features)


def test_screening_gives_the_exact_values_of_the_proposals_that_it_keeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, picture = random_network(1, TINY), 60 * torch.randn(3, 96, 144)
    exact = network(picture)
    kept = network(picture, screening=True)  # of 60 proposals all are candidates
    assert torch.equal(kept.boxes, exact.boxes)
    monkeypatch.setattr("lxcompress.vision.butd.selection.CANDIDATES", 20)
    fewer = network(picture, screening=True)
    assert len(fewer.boxes) == 20
    rows = [exact.boxes.tolist().index(box) for box in fewer.boxes.tolist()]
    assert rows == sorted(rows)
    for found, expected in ((kept, slice(None)), (fewer, rows)):
        for name in ("features", "class_logits", "attribute_logits", "deltas"):
            one, two = getattr(found, name), getattr(exact, name)[expected]
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_fewer_proposals_are_the_most_probable_ones() -> None:
    network, picture = random_network(1, TINY), 60 * torch.randn(3, 96, 144)
    all_of_them, some = network(picture), network(picture, proposals=40)
    assert len(some.boxes) == 40 and torch.equal(some.boxes, all_of_them.boxes[:40])
    torch.testing.assert_close(some.features, all_of_them.features[:40])


def test_values_in_bf16_are_near_those_in_fp32() -> None:
    network, picture = random_network(1, TINY), 60 * torch.randn(3, 96, 96)
    features = network.backbone(picture[None])
    boxes = network.proposal_generator(features, 96, 96, 40)
    exact = network.roi_heads(features, boxes)
    network.convolve_in(torch.bfloat16)
    assert network.dtype == torch.bfloat16
    approximate = network.roi_heads(network.backbone(picture[None].bfloat16()), boxes)
    assert approximate.features.dtype == torch.float32
    difference = (approximate.features - exact.features).norm() / exact.features.norm()
    assert 0 < difference < 0.02
    whole = network(picture, screening=True)
    assert whole.features.dtype == whole.boxes.dtype == torch.float32
