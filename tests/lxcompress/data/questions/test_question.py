"""The canonical form of an image id."""

import pytest

from lxcompress.data.questions.question import canonical_image_id


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (132417, "132417"),
        (0, "0"),
        ("132417", "132417"),
        ("000000132417", "132417"),
        ("000", "0"),
        ("2347", "2347"),
        ("COCO_train2014_000000132417", "132417"),
        ("COCO_val2014_000000132417.jpg", "132417"),
        ("COCO_val2014_000000132417.PNG", "132417"),
        ("000000132417.jpeg", "132417"),
        ("shapes_train_000000000001", "1"),
        ("shapes_train_000000000000", "0"),
        ("n161313", "n161313"),
        ("n161313.jpg", "n161313"),
        # Only COCO's twelve digits are a number: these three are three pictures.
        ("cats_001", "cats_001"),
        ("dogs_001", "dogs_001"),
        ("cats_0000000000001", "cats_0000000000001"),
        ("a_b", "a_b"),
    ],
)
def test_image_ids_have_one_canonical_form(value: int | str, expected: str) -> None:
    assert canonical_image_id(value) == expected
    assert canonical_image_id(expected) == expected
