"""Scenes of ShapesVQA: their random content, and rendering it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

PICTURE_SIZE = 96  # px, both sides
KINDS = ("circle", "square", "triangle", "star")
SIZES = ("small", "large")
COLORS = {
    "red": (215, 40, 40),
    "green": (45, 165, 65),
    "blue": (50, 90, 220),
    "yellow": (240, 210, 40),
    "purple": (140, 55, 180),
    "cyan": (40, 200, 210),
    "pink": (245, 125, 190),
    "brown": (135, 85, 45),
}
MIN_SHAPES, MAX_SHAPES = 2, 6

_HALF_SIDES = {"small": (6.0, 7.5), "large": (11.0, 13.0)}  # px
_GAP = 4.0  # px between the boxes of two shapes, so that their edges never touch
_MARGIN = 2.0  # px between a shape and the border
_COLOR_JITTER = 12  # of 255, per channel
_PALE, _DARK = (212, 250), (14, 54)  # background channels, of 255
_NOISE = (1.0, 5.0)  # standard deviation, of 255
_SUPERSAMPLING = 4
_TRIES = 40


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape. `x`, `y`: centre of its box, `half`: half the box's side, all in pixels."""

    kind: str
    color: str
    size: str
    x: float
    y: float
    half: float
    rgb: tuple[int, int, int]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The box, xyxy in 0-1."""
        return (
            (self.x - self.half) / PICTURE_SIZE,
            (self.y - self.half) / PICTURE_SIZE,
            (self.x + self.half) / PICTURE_SIZE,
            (self.y + self.half) / PICTURE_SIZE,
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """2 to 6 shapes that do not overlap, on a noisy background."""

    shapes: tuple[Shape, ...]
    background: tuple[int, int, int]
    noise: float
    noise_seed: int


def make_scene(seed: int, split: str, index: int) -> Scene:
    """Scene number `index` of a split; a pure function of the arguments."""
    rng = random.Random(f"scene/{seed}/{split}/{index}")
    # Few kinds and colours per scene, so that they repeat: then counts exceed one, and some
    # descriptions need two attributes.
    kinds = rng.sample(KINDS, rng.randint(2, len(KINDS)))
    colors = rng.sample(tuple(COLORS), rng.randint(2, 5))
    count = rng.randint(MIN_SHAPES, MAX_SHAPES)
    shapes: list[Shape] = []
    while len(shapes) < count:
        shape = _place(rng, kinds, colors, shapes)
        # No space left: start over, or crowded scenes would have fewer shapes.
        shapes = [*shapes, shape] if shape else []
    low, high = rng.choice((_PALE, _DARK))
    background = (rng.randint(low, high), rng.randint(low, high), rng.randint(low, high))
    return Scene(tuple(shapes), background, rng.uniform(*_NOISE), rng.getrandbits(32))


def _place(
    rng: random.Random, kinds: list[str], colors: list[str], others: list[Shape]
) -> Shape | None:
    """A random shape at a distance from the others, or None when no position is found."""
    kind, color, size = rng.choice(kinds), rng.choice(colors), rng.choice(SIZES)
    half = rng.uniform(*_HALF_SIDES[size])
    red, green, blue = (
        min(255, max(0, channel + rng.randint(-_COLOR_JITTER, _COLOR_JITTER)))
        for channel in COLORS[color]
    )
    low, high = _MARGIN + half, PICTURE_SIZE - _MARGIN - half
    for _ in range(_TRIES):
        x, y = rng.uniform(low, high), rng.uniform(low, high)
        if all(
            max(abs(x - other.x), abs(y - other.y)) >= half + other.half + _GAP for other in others
        ):
            return Shape(kind, color, size, x, y, half, (red, green, blue))
    return None


def render(scene: Scene) -> Image.Image:
    """The scene as an anti-aliased RGB picture of PICTURE_SIZE with its noise."""
    side = PICTURE_SIZE * _SUPERSAMPLING
    canvas = Image.new("RGB", (side, side), scene.background)
    draw = ImageDraw.Draw(canvas)
    for shape in scene.shapes:
        x, y, half = (_SUPERSAMPLING * value for value in (shape.x, shape.y, shape.half))
        if shape.kind == "circle":
            draw.ellipse((x - half, y - half, x + half, y + half), fill=shape.rgb)
        else:
            corners = [(x + half * dx, y + half * dy) for dx, dy in _OUTLINES[shape.kind]]
            draw.polygon(corners, fill=shape.rgb)
    pixels = np.asarray(canvas.reduce(_SUPERSAMPLING), dtype=np.float32)
    noise = np.random.default_rng(scene.noise_seed).standard_normal(pixels.shape, dtype=np.float32)
    return Image.fromarray(np.clip(np.rint(pixels + scene.noise * noise), 0, 255).astype(np.uint8))


def _star() -> tuple[tuple[float, float], ...]:
    """A five-pointed star, stretched to touch all sides of its box."""
    # Wider arms than a pentagram's, whose thin tips would vanish at 12 pixels.
    points = [
        (radius * math.sin(turn), -radius * math.cos(turn))
        for turn, radius in ((math.pi * tip / 5, 0.5 if tip % 2 else 1.0) for tip in range(10))
    ]
    across = max(x for x, _ in points)
    up, down = min(y for _, y in points), max(y for _, y in points)
    return tuple((x / across, (y - up) / (down - up) * 2 - 1) for x, y in points)


_OUTLINES = {
    "square": ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)),
    "triangle": ((0.0, -1.0), (1.0, 1.0), (-1.0, 1.0)),
    "star": _star(),
}
