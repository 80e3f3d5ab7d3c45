"""The canonical form of an image id."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcompress.data.questions.question import PICTURE_SUFFIXES, canonical_image_id


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
        ("n161313.webp", "n161313"),
        ("n161313.JPG", "n161313"),
        ("x.tif", "x"),
        ("x.png.jpg", "x"),
        ("\ufeffn161313", "n161313"),
        (" n161313 \r", "n161313"),
        ("\ufeff000000132417.webp", "132417"),
        ("cafe\u0301.png", "caf\u00e9"),
        ("caf\u00e9", "caf\u00e9"),
        ("v1.2", "v1.2"),
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


@given(
    st.text(max_size=12),
    st.sampled_from(sorted(PICTURE_SUFFIXES)),
    st.booleans(),
    st.sampled_from(["", " ", "\ufeff", "\r"]),
)
def test_one_picture_has_one_id_however_it_is_written(
    name: str, suffix: str, upper: bool, around: str
) -> None:
    image = canonical_image_id(name)
    assert canonical_image_id(image) == image
    for form in ("NFC", "NFD"):
        written = unicodedata.normalize(form, name) + (suffix.upper() if upper else suffix)
        assert canonical_image_id(around + written + around) == image
