"""Opening picture files: every mode becomes upright RGB, every damaged file a DataError."""

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lxcompress.data.shapes.scenes import make_scene, render
from lxcompress.errors import DataError
from lxcompress.vision.pictures import MAX_PIXELS, open_picture, picture_size


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("L", 100, (100, 100, 100)),
        ("1", 1, (255, 255, 255)),
        ("I;16", 0x8080, (128, 128, 128)),
        ("LA", (0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),
    ],
)
def test_modes_become_rgb(mode: str, color: object, expected: object, tmp_path: Path) -> None:
    Image.new(mode, (5, 4), color).save(tmp_path / "a.png")  # type: ignore[arg-type]
    picture = open_picture(tmp_path / "a.png")
    assert (picture.mode, picture.size, picture.getpixel((2, 2))) == ("RGB", (5, 4), expected)


def test_palette_with_a_transparent_entry(tmp_path: Path) -> None:
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    picture.putpixel((0, 0), 0)
    picture.save(tmp_path / "a.png", transparency=0)
    opened = open_picture(tmp_path / "a.png")
    assert opened.getpixel((0, 0)) == (255, 255, 255)
    assert opened.getpixel((2, 2)) == (10, 20, 30)


def test_rotation_tag_is_followed(tmp_path: Path) -> None:
    picture = Image.new("RGB", (40, 20), "white")
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    assert open_picture(tmp_path / "a.jpg").size == (20, 40)
    assert picture_size(tmp_path / "a.jpg") == (40, 20)


def test_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (10_000, MAX_PIXELS // 10_000 + 1)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"more than 64 megapixels.*a\.png"):
        open_picture(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow's own alarm
    with pytest.raises(DataError, match=r"more than 64 megapixels.*a\.png"):
        open_picture(tmp_path / "a.png")


def test_missing_folder_and_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not found.*b\.png"):
        open_picture(tmp_path / "b.png")
    with pytest.raises(DataError, match="this is a folder"):
        open_picture(tmp_path)
    for content, reason in (
        ("", "the file is empty"),
        (" <!DOCTYPE html><title>404", "a page in its place"),
        ("version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    ):
        (tmp_path / "c.png").write_text(content)
        with pytest.raises(DataError, match=rf"not a picture .*{reason}.*c\.png"):
            open_picture(tmp_path / "c.png")
    (tmp_path / "c.png").write_text("hello")
    with pytest.raises(DataError, match=r"not a picture.*c\.png"):
        open_picture(tmp_path / "c.png")


@pytest.mark.parametrize("extension", ["png", "jpg", "gif", "bmp"])
def test_cut_off_files(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{extension}"
    render(make_scene(0, "train", 0)).save(path)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(DataError, match=rf"damaged.*a\.{extension}") as caught:
        open_picture(path)
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_are_data_errors(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF"]))
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((24, 24)).save(buffer, format=kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    try:
        assert open_picture(path).mode == "RGB"
    except DataError as error:
        assert "damaged" in str(error) and "\n" not in str(error)
