"""A detector for drawings on a uniform background: connected components, without training.

It uses the pixels alone, and works for any picture whose objects differ in colour from a roughly
uniform background. For other pictures it returns regions too, but poor ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage

from lxcompress.vision.regions import Regions

_LONG_SIDE = 256  # px; larger pictures are reduced first
_GRID = 8

# Colour distances are Euclidean in RGB, 0-441.
_MIN_DISTANCE, _MAX_DISTANCE = 24.0, 110.0
_NOISE_FACTOR = 6.0  # standard deviations from the background, above which a pixel is no noise
_STRONG_NOISE = 6.0  # standard deviation per channel above which the picture is smoothed
_MEDIAN_OF_CHI3 = 1.538  # median length of a 3-vector of unit normals
_EDGE = 0.4  # of the object's contrast, from which an anti-aliased edge pixel belongs to it
_USUAL_FILL = 0.75  # mean fill of a grid cell, over all kinds of shapes
_MIN_PIXELS, _MIN_SHARE = 6, 0.0008  # smaller components are specks


class PixelDetector:
    """Connected components that differ in colour from the background, largest first.

    A region has 107 features, scaled so that shape, colour and position contribute about equally
    to the sum of squares (a model's first layer gets them without normalisation):

    ====== =====================================================================
    0-63   share of each cell of an 8x8 grid over the box that the component fills, minus 0.75
    64-66  colour: median R, G, B, from -1 to 1
    67-69  standard deviation of R, G, B, times 2
    70     square root of the area as a share of the picture, times 4
    71-72  width and height of the box as shares of the picture, times 4
    73-74  centre x and y of the box, from -1 to 1
    75     extent: area / area of the box
    76-78  second moments xx, yy (times 3: a filled box has 1) and xy (times 3, signed) in the box
    79-105 colour histogram: the median colour distributed over a 3x3x3 lattice of RGB, times 3
    106    1 when nothing was found and the region is the whole picture
    ====== =====================================================================
    """

    name = "pixel"
    feature_size = _GRID * _GRID + 16 + 27
    max_regions = 10

    def detect(self, pictures: Sequence[Image.Image]) -> list[Regions]:
        """The regions of RGB pictures of any size; one entry per picture, in order."""
        return [self._detect(picture) for picture in pictures]

    def _detect(self, picture: Image.Image) -> Regions:
        picture = picture.convert("RGB")
        picture.thumbnail((_LONG_SIDE, _LONG_SIDE), Image.Resampling.BOX)
        pixels = np.asarray(picture, dtype=np.float32)
        background, noise = _background(pixels)
        if noise > _STRONG_NOISE:
            pixels = np.asarray(picture.filter(ImageFilter.MedianFilter(3)), dtype=np.float32)
            background, noise = _background(pixels)
        distance = np.sqrt(np.square(pixels - background).sum(axis=2))

        height, width = distance.shape
        found = [
            _describe(pixels[window][inside], inside, window, (height, width))
            for window, inside in _components(distance, noise, self.max_regions)
        ]
        if not found:
            everything = (slice(0, height), slice(0, width))
            inside = np.ones((height, width), dtype=bool)
            features, box = _describe(pixels[inside], inside, everything, (height, width))
            features[-1] = 1.0
            found = [(features, box)]
        return Regions(
            features=np.stack([features for features, _ in found]),
            boxes=np.stack([box for _, box in found]),
        )


def _background(pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """Background colour [3] and the noise's standard deviation per channel, from the border.

    Medians, so that objects may cover up to half of the border.
    """
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    middle = np.median(border, axis=0)
    distance = np.linalg.norm(border - middle, axis=1)
    near = distance <= max(float(np.median(distance)) * 3, _MIN_DISTANCE)
    background = np.median(border[near], axis=0)
    spread = np.median(np.linalg.norm(border[near] - background, axis=1))
    return background, float(spread) / _MEDIAN_OF_CHI3


def _components(
    distance: np.ndarray, noise: float, limit: int
) -> list[tuple[tuple[slice, slice], np.ndarray]]:
    """The `limit` largest objects: their window in the picture and their pixels within it.

    distance: [height, width], each pixel's colour distance from the background.
    """
    threshold = float(np.clip(_NOISE_FACTOR * noise, _MIN_DISTANCE, _MAX_DISTANCE))
    labels, _ = ndimage.label(distance > threshold, structure=np.ones((3, 3)))
    areas = np.bincount(labels.ravel())[1:]
    smallest = max(_MIN_PIXELS, _MIN_SHARE * distance.size)
    windows = ndimage.find_objects(labels)
    components = []
    # A stable sort keeps objects of equal area in reading order.
    for index in np.argsort(-areas, kind="stable")[:limit]:
        if areas[index] < smallest:
            break
        window = windows[index]
        inside = labels[window] == index + 1
        contrast = distance[window]
        inside &= contrast >= _EDGE * np.quantile(contrast[inside], 0.75)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        left, right = int(columns[0]), int(columns[-1]) + 1
        y, x = window[0].start, window[1].start
        window = (slice(y + top, y + bottom), slice(x + left, x + right))
        components.append((window, inside[top:bottom, left:right]))
    return components


def _describe(
    colours: np.ndarray, inside: np.ndarray, window: tuple[slice, slice], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Features [107] and box [4] of one component.

    colours: [pixels, 3] in 0-255; inside: bool, the component within its window;
    size: the picture's height and width.
    """
    rows, columns = window
    box = np.array([columns.start, rows.start, columns.stop, rows.stop], dtype=np.float32)
    box /= np.array([size[1], size[0], size[1], size[0]], dtype=np.float32)
    filled = inside.astype(np.float32)
    height, width = inside.shape
    area = float(filled.sum())

    y, x = _centred(height), _centred(width)
    by_row, by_column = filled.sum(axis=1), filled.sum(axis=0)
    mean_y, mean_x = float(y @ by_row) / area, float(x @ by_column) / area
    moments = (
        float(np.square(x - mean_x) @ by_column) / area,
        float(np.square(y - mean_y) @ by_row) / area,
        float((y - mean_y) @ filled @ (x - mean_x)) / area,
    )
    colour = np.median(colours, axis=0) / 127.5 - 1
    features = np.concatenate(
        [
            (_shares(height) @ filled @ _shares(width).T).ravel() - _USUAL_FILL,
            colour,
            colours.std(axis=0) / 255 * 2,
            [4 * (area / (size[0] * size[1])) ** 0.5],
            [4 * (box[2] - box[0]), 4 * (box[3] - box[1])],
            [box[0] + box[2] - 1, box[1] + box[3] - 1, area / inside.size],
            [3 * moment for moment in moments],
            3 * _lattice(colour),
            [0.0],
        ]
    )
    return features.astype(np.float32), box


def _lattice(colour: np.ndarray) -> np.ndarray:
    """A colour [3] in -1 to 1, distributed over the 27 points of {-1, 0, 1}^3; they sum to 1."""
    red, green, blue = np.clip(1 - np.abs(colour[:, None] - np.array([-1, 0, 1])), 0, None)
    return (red[:, None, None] * green[:, None] * blue).ravel()


@lru_cache(maxsize=_LONG_SIDE)
def _centred(length: int) -> np.ndarray:
    """Pixel centres along one side of a box, from -1 to 1. [length] float32."""
    return ((np.arange(length, dtype=np.float32) + 0.5) / length * 2 - 1).astype(np.float32)


@lru_cache(maxsize=_LONG_SIDE)
def _shares(length: int) -> np.ndarray:
    """Weights that average `length` pixels into grid cells by overlap. [8, length] float32."""
    cells = np.arange(_GRID)[:, None] * length / _GRID
    pixels = np.arange(length)[None, :]
    overlap = np.minimum(cells + length / _GRID, pixels + 1) - np.maximum(cells, pixels)
    shares: np.ndarray = np.clip(overlap, 0, None) * _GRID / length
    return shares.astype(np.float32)
