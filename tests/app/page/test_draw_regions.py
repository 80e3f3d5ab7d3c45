"""Drawing regions on a picture."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.page.draw_regions import draw_regions
from lxcompress.vision.regions import RegionObjects, Regions


def test_regions_of_most_attention_are_bright() -> None:
    picture = Image.new("RGB", (640, 640), (200, 200, 200))
    boxes = np.array([[0.1, 0.1, 0.3, 0.3], [0.6, 0.6, 0.8, 0.8], [0.1, 0.6, 0.3, 0.8]], np.float32)
    regions = Regions(np.zeros((3, 1), np.float32), boxes)
    attention = np.array([0.2, 0.7, 0.1])

    def brightness_inside(drawn: Image.Image) -> list[int]:
        centres = [(128, 128), (448, 448), (128, 448)]
        return [int(np.asarray(drawn)[y, x].mean()) for x, y in centres]

    assert brightness_inside(draw_regions(picture, regions, attention, 0)) == [200, 200, 200]
    unseen = draw_regions(picture, regions, np.zeros(3), 2)
    assert brightness_inside(unseen) == [200, 200, 200]  # the model looks at none
    one = draw_regions(picture, regions, attention, 1)
    assert brightness_inside(one) == [80, 200, 80]  # only the one with the most attention
    assert brightness_inside(draw_regions(picture, regions, attention, 2)) == [200, 200, 80]
    assert brightness_inside(draw_regions(picture, regions, attention, 9)) == [200, 200, 200]
    assert one.getpixel((640 * 6 // 10 - 4, 450)) != (80, 80, 80)  # its frame
    assert picture.getpixel((0, 0)) == (200, 200, 200)  # the picture itself is unchanged


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 900), st.integers(1, 900)),
    st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), min_size=1, max_size=8),
    st.integers(0, 12),
)
def test_any_boxes_can_be_drawn(
    size: tuple[int, int], corners: list[tuple[float, float, float, float]], count: int
) -> None:
    boxes = np.array(
        [[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in corners], np.float32
    )
    ids, sure = np.arange(len(boxes)), np.full(len(boxes), 0.9, np.float32)  # long names too
    objects = RegionObjects(ids, sure, ids, sure)
    regions = Regions(np.zeros((len(boxes), 1), np.float32), boxes, objects)
    attention = np.full(len(boxes), 1 / len(boxes), np.float32)
    drawn = draw_regions(Image.new("RGB", size), regions, attention, count)
    assert drawn.mode == "RGB" and max(drawn.size) == max(640, *size) and min(drawn.size) >= 1
