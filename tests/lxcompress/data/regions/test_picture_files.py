"""Which files of a folder are pictures, and by which ids questions find them."""

import os
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lxcompress.data.questions.question import PICTURE_SUFFIXES, canonical_image_id
from lxcompress.data.regions.picture_files import (
    broken_pictures,
    find_pictures,
    misnamed_pictures,
    select_pictures,
)
from lxcompress.errors import DataError

Form = Literal["NFC", "NFD"]
FORMS: tuple[Form, ...] = get_args(Form)
LATIN1 = os.fsdecode("café.png".encode("latin-1"))


def test_hidden_files_and_other_files_are_no_pictures(tmp_path: Path) -> None:
    names = ("1.png", "._1.png", "._2.jpg", ".DS_Store", ".hidden.png", "notes.txt", "2.WEBP")
    for name in names:
        (tmp_path / name).touch()
    assert find_pictures([tmp_path]) == {"1": tmp_path / "1.png", "2": tmp_path / "2.WEBP"}


def test_a_name_that_is_not_utf_8_is_no_id(tmp_path: Path) -> None:
    (tmp_path / LATIN1).touch()
    with pytest.raises(DataError, match=r"no pictures .*1 files .* not UTF-8.*caf\\xe9\.png"):
        find_pictures([tmp_path])
    (tmp_path / "1.png").touch()
    assert list(find_pictures([tmp_path])) == ["1"]
    assert misnamed_pictures([tmp_path]) == [tmp_path / LATIN1]
    with pytest.raises(DataError, match=r"'café', are not in .*not UTF-8, e\.g\. caf\\xe9\.png"):
        select_pictures([tmp_path], ["1", "café"])


def test_ids_with_folders_are_explained(tmp_path: Path) -> None:
    (tmp_path / "1.png").touch()
    with pytest.raises(DataError, match="take the path off the ids"):
        select_pictures([tmp_path], [canonical_image_id("train/1.png")])


@pytest.mark.parametrize("suffix", sorted(PICTURE_SUFFIXES))
def test_every_ending_can_be_opened(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (4, 3)).save(tmp_path / f"x{suffix}")
    pictures = find_pictures([tmp_path])
    assert list(pictures) == ["x"] and not list(broken_pictures(pictures, "Opening"))


_NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"),
    min_size=1,
    max_size=20,
).filter(lambda name: not name.startswith(".") and canonical_image_id(name))


@given(_NAMES, st.sampled_from(sorted(PICTURE_SUFFIXES)), st.sampled_from(FORMS))
@settings(deadline=None)
def test_ids_match_names_in_either_normal_form(name: str, suffix: str, form: Form) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / (unicodedata.normalize(form, name) + suffix)
        path.touch()
        for other in FORMS:
            for ending in ("", suffix, suffix.upper()):
                wanted = canonical_image_id(unicodedata.normalize(other, name) + ending)
                assert select_pictures([Path(folder)], [wanted]) == {wanted: path}
