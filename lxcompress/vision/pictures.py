"""Opening picture files as upright RGB."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lxcompress.errors import DataError
from lxcompress.system.files import check_regular

MAX_PIXELS = 64_000_000

# Not MPO: the pictures of a telephone's JPEG are views of one scene.
_ANIMATED = frozenset({"GIF", "WEBP", "PNG"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"})
_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = frozenset({5, 6, 7, 8})  # values of the tag that exchange width and height

# Exceptions that Pillow's decoders raise for damaged files.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error)


def open_picture(path: Path) -> Image.Image:
    """Load a picture as RGB, upright by its EXIF tag, transparent parts on white.

    Raises DataError when the file is missing, not a picture, damaged, or larger than MAX_PIXELS.
    """
    with _opened(path) as file:
        file.load()
        return _to_rgb(ImageOps.exif_transpose(file))


def picture_size(path: Path) -> tuple[int, int]:
    """(height, width) in pixels of a picture as `open_picture` gives it; reads its header only.

    Raises DataError as `open_picture` does, as far as the header tells.
    """
    with _opened(path) as file:
        sideways = file.getexif().get(_EXIF_ORIENTATION) in _SIDEWAYS
        return (file.width, file.height) if sideways else (file.height, file.width)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture; what is wrong with it, also in the block, is a DataError."""
    check_regular(path)
    try:
        with warnings.catch_warnings():
            # Warnings about what Pillow repairs are of no use here; but below twice its limit a
            # decompression bomb is a warning too.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                if file.width * file.height > MAX_PIXELS:
                    raise _too_large(path)
                if file.format in _ANIMATED and getattr(file, "is_animated", False):
                    raise DataError(f"picture is animated; save one frame as JPEG or PNG: {path}")
                yield file
    except FileNotFoundError:
        raise DataError(f"picture not found: {path}") from None
    except IsADirectoryError:
        raise DataError(f"picture expected, but this is a folder: {path}") from None
    except PermissionError:
        raise DataError(f"no permission to read the picture: {path}") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise _too_large(path) from None
    except UnidentifiedImageError:
        if _is_heic(path):
            raise DataError(
                f"HEIC pictures cannot be read; save it as JPEG or PNG: {path}"
            ) from None
        raise DataError(f"not a picture that can be read ({_content(path)}): {path}") from None
    except (*_BROKEN, zlib.error) as problem:
        reason = " ".join(str(problem).split()) or type(problem).__name__
        raise DataError(f"picture is truncated or damaged ({reason}): {path}") from None


def _is_heic(path: Path) -> bool:
    with open(path, "rb") as file:
        start = file.read(12)
    return start[4:8] == b"ftyp" and start[8:] in _HEIC_BRANDS


def _content(path: Path) -> str:
    """What a file that is no picture seems to be."""
    with open(path, "rb") as file:
        start = file.read(64).lstrip().lower()
    if not start:
        return "the file is empty"
    if start.startswith(b"%pdf"):
        return "a PDF; save its picture as JPEG or PNG"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a page in its place, as failed downloads leave behind"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer; fetch it with `git lfs pull`"
    return "PNG, JPEG, …"


def _too_large(path: Path) -> DataError:
    return DataError(
        f"picture has more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller: {path}"
    )


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        # Sixteen bits per pixel; Pillow's own conversion clips at 255 instead of scaling.
        grey = np.clip(np.asarray(picture, dtype=np.float32) / 257.0, 0, 255)
        return Image.fromarray(grey.round().astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")
