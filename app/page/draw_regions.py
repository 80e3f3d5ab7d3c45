"""Draw the regions of a picture on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lxcompress.vision.region_names import region_names
from lxcompress.vision.regions import Regions

_MIN_SIDE = 640  # px of the longer side; smaller pictures are enlarged
_DIMMED = 0.4  # brightness outside the drawn regions
_MAX_COLOUR = (255, 176, 0)  # of the region with the most attention
_MIN_COLOUR = (130, 200, 255)
_INK = (20, 20, 20)


def draw_regions(
    picture: Image.Image, regions: Regions, attention: Sequence[float] | np.ndarray, count: int
) -> Image.Image:
    """Return the RGB picture dimmed, with the `count` regions of most attention at full brightness.

    The more attention a region has, the thicker its frame; each is labelled with its name, if it
    has one, and its share. With a count of 0, or without any attention, the picture is not dimmed.
    The result is at least 640 pixels on its longer side.

    Args:
        attention: `[n]`, shares that sum to 1, or all 0.
    """
    scale = max(1.0, _MIN_SIDE / max(picture.size))
    size = (round(picture.width * scale), round(picture.height * scale))
    canvas = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    shares = np.asarray(attention, dtype=np.float64)
    if not count or not shares.any():
        return canvas
    shown = np.argsort(-shares, kind="stable")[:count]
    names = region_names(regions)
    corners = [_to_pixels(box, canvas.size) for box in regions.boxes[shown]]
    lit = Image.new("L", canvas.size, round(255 * _DIMMED))
    for corner in corners:
        ImageDraw.Draw(lit).rectangle(corner, fill=255)
    canvas = Image.composite(canvas, Image.new("RGB", canvas.size), lit)
    pen = ImageDraw.Draw(canvas)
    unit = max(canvas.size) / _MIN_SIDE
    # The region with the most attention last, so that nothing covers it.
    for corner, row in reversed(list(zip(corners, shown, strict=True))):
        share = float(shares[row])
        relative = share / float(shares[shown[0]])
        colour = _interpolate(_MIN_COLOUR, _MAX_COLOUR, relative)
        pen.rectangle(corner, outline=_INK, width=round(unit * (4 + 4 * relative)))
        pen.rectangle(corner, outline=colour, width=round(unit * (2 + 4 * relative)))
        text = " ".join(filter(None, [names[row], _display_share(share)]))
        _draw_label(pen, corner, text, colour, round(unit * 20), canvas.size)
    return canvas


def _display_share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "<1%"


def _to_pixels(box: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Pixel coordinates of a box in 0-1, with a margin, in a picture of this width and height."""
    width, height = size
    margin = 4
    left, top = round(float(box[0]) * width) - margin, round(float(box[1]) * height) - margin
    right, bottom = round(float(box[2]) * width) + margin, round(float(box[3]) * height) + margin
    return max(left, 0), max(top, 0), min(right, width - 1), min(bottom, height - 1)


def _interpolate(
    first: tuple[int, int, int], second: tuple[int, int, int], share: float
) -> tuple[int, int, int]:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _draw_label(
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int, int, int],
    text: str,
    colour: tuple[int, int, int],
    height: int,
    size: tuple[int, int],
) -> None:
    """Draw a tag above the box, or inside it where there is no room above."""
    font = ImageFont.load_default(height)
    width = round(pen.textlength(text, font=font)) + height // 2
    left = max(0, min(corner[0], size[0] - width))
    top = corner[1] - round(1.3 * height)
    top = top if top >= 0 else corner[1]
    pen.rectangle((left, top, left + width, top + round(1.3 * height)), fill=colour)
    pen.text((left + width / 2, top + 0.65 * height), text, _INK, font, anchor="mm")
