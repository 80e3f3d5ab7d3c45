"""The regions of a picture, drawn on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_SMALLEST_SIDE = 640  # px of the longer side; smaller pictures are enlarged
_DIMMED = 0.4  # of the brightness where no shown region is
_MOST = (255, 176, 0)
_LEAST = (130, 200, 255)
_INK = (20, 20, 20)


def draw_regions(
    picture: Image.Image, boxes: np.ndarray, attention: Sequence[float] | np.ndarray, count: int
) -> Image.Image:
    """The `count` regions that were looked at most, bright on the dimmed RGB picture.

    boxes: `[n, 4]`, xyxy in 0-1; attention: `[n]`, shares that sum to 1. The more a region was
    looked at, the thicker its frame; each is labelled with its share. With a count of 0 the picture
    is as it was, though not smaller than 640 pixels.
    """
    scale = max(1.0, _SMALLEST_SIDE / max(picture.size))
    size = (round(picture.width * scale), round(picture.height * scale))
    canvas = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    if not count:
        return canvas
    shares = np.asarray(attention, dtype=np.float64)
    shown = np.argsort(-shares, kind="stable")[:count]
    corners = [_pixels(box, canvas.size) for box in boxes[shown]]
    lit = Image.new("L", canvas.size, round(255 * _DIMMED))
    for corner in corners:
        ImageDraw.Draw(lit).rectangle(corner, fill=255)
    canvas = Image.composite(canvas, Image.new("RGB", canvas.size), lit)
    pen = ImageDraw.Draw(canvas)
    unit = max(canvas.size) / _SMALLEST_SIDE
    # The most important last, so that nothing covers it.
    for corner, share in reversed(list(zip(corners, shares[shown], strict=True))):
        relative = float(share / shares[shown[0]])
        colour = _between(_LEAST, _MOST, relative)
        pen.rectangle(corner, outline=_INK, width=round(unit * (4 + 4 * relative)))
        pen.rectangle(corner, outline=colour, width=round(unit * (2 + 4 * relative)))
        _label(pen, corner, _percent(float(share)), colour, round(unit * 20), canvas.size)
    return canvas


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "<1%"


def _pixels(box: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Corners of a box in 0-1, a little outside of it, in a picture of this width and height."""
    width, height = size
    margin = 4
    left, top = round(float(box[0]) * width) - margin, round(float(box[1]) * height) - margin
    right, bottom = round(float(box[2]) * width) + margin, round(float(box[3]) * height) + margin
    return max(left, 0), max(top, 0), min(right, width - 1), min(bottom, height - 1)


def _between(
    first: tuple[int, int, int], second: tuple[int, int, int], share: float
) -> tuple[int, int, int]:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _label(
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int, int, int],
    text: str,
    colour: tuple[int, int, int],
    height: int,
    size: tuple[int, int],
) -> None:
    """A tag above the box, or inside it where there is no room above."""
    font = ImageFont.load_default(height)
    width = round(pen.textlength(text, font=font)) + height // 2
    left = min(corner[0], size[0] - width)
    top = corner[1] - round(1.3 * height)
    top = top if top >= 0 else corner[1]
    pen.rectangle((left, top, left + width, top + round(1.3 * height)), fill=colour)
    pen.text((left + width / 2, top + 0.65 * height), text, _INK, font, anchor="mm")
