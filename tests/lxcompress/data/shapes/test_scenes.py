"""Scenes of ShapesVQA: reproducible, with shapes that do not touch."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lxcompress.data.shapes.scenes import PICTURE_SIZE, make_scene


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["train", "val"]), st.integers(0, 10**6))
def test_shapes_lie_inside_and_apart(seed: int, split: str, index: int) -> None:
    scene = make_scene(seed, split, index)
    assert scene == make_scene(seed, split, index)
    assert 2 <= len(scene.shapes) <= 6
    for number, shape in enumerate(scene.shapes):
        left, top, right, bottom = shape.box
        assert 0 < left < right < 1
        assert 0 < top < bottom < 1
        for other in scene.shapes[:number]:
            a, b = shape.box, other.box
            gap = max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3])
            assert gap * PICTURE_SIZE >= 3.99
