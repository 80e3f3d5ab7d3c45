"""The bottom-up-attention detector once more: slow, in numpy and loops, from its description.

Nothing is shared with lxcompress but the weights. Double precision.
"""

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Box = tuple[float, float, float, float]
LARGEST = math.log(1000 / 16)


def anchors(sizes: Any, ratios: Any, height: int, width: int) -> list[Box]:
    """Around each point of the feature map, rows first; by size, then ratio."""
    found = []
    for row in range(height):
        for column in range(width):
            for size in sizes:
                for ratio in ratios:
                    w = math.sqrt(size * size / ratio)
                    h = w * ratio
                    x, y = 16 * column, 16 * row
                    found.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    return found


def decode(box: Any, delta: Any, weights: Any) -> Box:
    x1, y1, x2, y2 = map(float, box)
    dx, dy, dw, dh = (float(d) / w for d, w in zip(delta, weights, strict=True))
    centre_x = (x1 + x2) / 2 + dx * (x2 - x1)
    centre_y = (y1 + y2) / 2 + dy * (y2 - y1)
    w = (x2 - x1) * math.exp(min(dw, LARGEST))
    h = (y2 - y1) * math.exp(min(dh, LARGEST))
    return centre_x - w / 2, centre_y - h / 2, centre_x + w / 2, centre_y + h / 2


def clip(box: Any, height: int, width: int) -> Box:
    x1, y1, x2, y2 = map(float, box)
    return (
        min(max(x1, 0), width),
        min(max(y1, 0), height),
        min(max(x2, 0), width),
        min(max(y2, 0), height),
    )


def overlap(a: Any, b: Any) -> float:
    """Intersection over union; 0 for two empty boxes."""
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return w * h / union if union else 0.0


def suppress(boxes: Any, scores: Any, threshold: float, limit: int) -> list[int]:
    kept: list[int] = []
    for row in sorted(range(len(boxes)), key=lambda row: (-scores[row], row)):
        if all(overlap(boxes[row], boxes[other]) <= threshold for other in kept):
            kept.append(row)
    return kept[:limit]


def roi_pool(features: Array, box: Any, size: int = 14) -> Array:
    """RoIPool as Caffe, torchvision and ONNX Runtime define it, on [C, H, W]: cells in float32."""
    x1, y1, x2, y2 = (math.floor(Fraction(float(side)) / 16 + Fraction(1, 2)) for side in box)
    cell_height = np.float32(max(y2 - y1 + 1, 1)) / np.float32(size)
    cell_width = np.float32(max(x2 - x1 + 1, 1)) / np.float32(size)
    channels, height, width = features.shape
    pooled = np.zeros((channels, size, size))
    for row in range(size):
        top = min(max(y1 + math.floor(np.float32(row) * cell_height), 0), height)
        bottom = min(max(y1 + math.ceil(np.float32(row + 1) * cell_height), 0), height)
        for column in range(size):
            left = min(max(x1 + math.floor(np.float32(column) * cell_width), 0), width)
            right = min(max(x1 + math.ceil(np.float32(column + 1) * cell_width), 0), width)
            if bottom > top and right > left:
                pooled[:, row, column] = features[:, top:bottom, left:right].max(axis=(1, 2))
    return pooled


def resized(height: int, width: int, short: int, long: int) -> tuple[int, int]:
    """Exact, halves up; a side has at least three pixels."""
    scale = Fraction(short, min(height, width))
    if max(height, width) * scale > long:
        scale = Fraction(long, max(height, width))
    half = Fraction(1, 2)
    return max(3, math.floor(height * scale + half)), max(3, math.floor(width * scale + half))


def bilinear(pixels: Array, height: int, width: int) -> Array:
    """[H, W] to [height, width]: the four nearest pixel centres, edges repeated."""

    def places(new: int, old: int) -> list[tuple[int, int, float]]:
        found = []
        for place in range(new):
            at = max((place + 0.5) * old / new - 0.5, 0.0)
            first = min(int(at), old - 1)
            found.append((first, min(first + 1, old - 1), at - first))
        return found

    rows = places(height, pixels.shape[0])
    columns = places(width, pixels.shape[1])
    found = np.empty((height, width))
    for y, (top, bottom, down) in enumerate(rows):
        for x, (left, right, across) in enumerate(columns):
            above = pixels[top, left] * (1 - across) + pixels[top, right] * across
            below = pixels[bottom, left] * (1 - across) + pixels[bottom, right] * across
            found[y, x] = above * (1 - down) + below * down
    return found


def prepare(rgb: NDArray[np.uint8], short: int, long: int) -> Array:
    height, width = resized(rgb.shape[0], rgb.shape[1], short, long)
    channels = [bilinear(rgb[:, :, c].astype(np.float64), height, width) for c in (2, 1, 0)]
    return np.stack(channels) - np.array([102.9801, 115.9465, 122.7717])[:, None, None]


class Network:
    """The network of a state dict: names to arrays."""

    def __init__(self, state: dict[str, Array]) -> None:
        self.state = state

    def propose(self, picture: Array, sizes: Any, ratios: Any, limit: int) -> dict[str, Any]:
        """Of a picture [3, H, W]: boxes, features, logits and deltas of each proposal."""
        _, height, width = picture.shape
        features = self.backbone(picture)
        boxes = self.proposals(features, height, width, sizes, ratios, limit)
        pooled = []
        for box in boxes:
            x = roi_pool(features, box)
            for block in range(3):
                x = self.block(x, f"roi_heads.res5.{block}", 1, dilation=2)
            pooled.append(x.mean(axis=(1, 2)))
        regions = np.stack(pooled)
        head = "roi_heads.box_predictor"
        classes = self.linear(regions, f"{head}.cls_score")
        embedded = self.state[f"{head}.cls_embedding.weight"][classes.argmax(axis=1)]
        inner = self.linear(np.concatenate([regions, embedded], axis=1), f"{head}.fc_attr")
        return {
            "boxes": boxes,
            "features": regions,
            "class_logits": classes,
            "attribute_logits": self.linear(np.maximum(inner, 0), f"{head}.attr_score"),
            "deltas": self.linear(regions, f"{head}.bbox_pred").reshape(len(boxes), -1, 4),
        }

    def backbone(self, picture: Array) -> Array:
        x = np.maximum(self.convolve(picture, "backbone.stem.conv1", stride=2, padding=3), 0)
        x = max_pool(x)
        for stage, stride in (("res2", 1), ("res3", 2), ("res4", 2)):
            block = 0
            while f"backbone.{stage}.{block}.conv1.weight" in self.state:
                x = self.block(x, f"backbone.{stage}.{block}", stride if block == 0 else 1)
                block += 1
        return x

    def block(self, x: Array, name: str, stride: int, dilation: int = 1) -> Array:
        inner = np.maximum(self.convolve(x, f"{name}.conv1", stride=stride), 0)
        inner = self.convolve(inner, f"{name}.conv2", padding=dilation, dilation=dilation)
        inner = self.convolve(np.maximum(inner, 0), f"{name}.conv3")
        if f"{name}.shortcut.weight" in self.state:
            x = self.convolve(x, f"{name}.shortcut", stride=stride)
        return np.maximum(inner + x, 0)

    def proposals(
        self, features: Array, height: int, width: int, sizes: Any, ratios: Any, limit: int
    ) -> list[Box]:
        head = "proposal_generator.rpn_head"
        inner = np.maximum(self.convolve(features, f"{head}.conv", padding=1), 0)
        scores = self.convolve(inner, f"{head}.objectness_logits")
        deltas = self.convolve(inner, f"{head}.anchor_deltas")
        _, rows, columns = features.shape
        each = len(sizes) * len(ratios)
        candidates = []
        for number, anchor in enumerate(anchors(sizes, ratios, rows, columns)):
            row, column, kind = number // each // columns, number // each % columns, number % each
            delta = deltas[4 * kind : 4 * kind + 4, row, column]
            box = clip(decode(anchor, delta, (1, 1, 1, 1)), height, width)
            candidates.append((float(scores[kind, row, column]), box))
        candidates.sort(key=lambda candidate: -candidate[0])
        candidates = [
            (score, box) for score, box in candidates[:6000] if box[2] > box[0] and box[3] > box[1]
        ]
        boxes = [box for _, box in candidates]
        return [boxes[row] for row in suppress(boxes, [s for s, _ in candidates], 0.7, limit)]

    def linear(self, x: Array, name: str) -> Array:
        found: Array = x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]
        return found

    def convolve(
        self, x: Array, name: str, stride: int = 1, padding: int = 0, dilation: int = 1
    ) -> Array:
        """[C, H, W] through a convolution and its bias or batch normalisation."""
        weight = self.state[f"{name}.weight"]
        size = weight.shape[2]
        x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
        height = (x.shape[1] - dilation * (size - 1) - 1) // stride + 1
        width = (x.shape[2] - dilation * (size - 1) - 1) // stride + 1
        out = np.zeros((len(weight), height, width))
        for i in range(size):
            for j in range(size):
                top, left = i * dilation, j * dilation
                seen = x[
                    :, top : top + stride * height : stride, left : left + stride * width : stride
                ]
                out += np.tensordot(weight[:, :, i, j], seen[:, :height, :width], axes=1)
        if f"{name}.bias" in self.state:
            return out + self.state[f"{name}.bias"][:, None, None]
        scale, shift, mean, variance = (
            self.state[f"{name}.norm.{key}"][:, None, None]
            for key in ("weight", "bias", "running_mean", "running_var")
        )
        normalised: Array = (out - mean) / np.sqrt(variance + 1e-5) * scale + shift
        return normalised


def max_pool(x: Array) -> Array:
    """3 x 3, stride 2, no padding, rounded up: the last window may hang over the edge."""
    _, height, width = x.shape
    rows, columns = math.ceil((height - 3) / 2) + 1, math.ceil((width - 3) / 2) + 1
    found = np.empty((len(x), rows, columns))
    for row in range(rows):
        for column in range(columns):
            window = x[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            found[:, row, column] = window.max(axis=(1, 2))
    return found


def select(found: dict[str, Any], height: int, width: int) -> dict[str, Any]:
    """The regions that are kept: rows of `found`, boxes as fractions, ids and confidences."""
    confidences, classes, boxes = [], [], []
    for row, logits in enumerate(found["class_logits"]):
        weights = np.exp(logits - logits.max())
        chances = weights[:-1] / weights.sum()
        best = int(chances.argmax())
        classes.append(best)
        confidences.append(float(chances[best]))
        box = decode(found["boxes"][row], found["deltas"][row][best], (10, 10, 5, 5))
        boxes.append(clip(box, height, width))
    for threshold in (0.5, 0.6, 0.7):
        kept = suppress(boxes, confidences, threshold, 36)
        if len(kept) >= 36:
            break
    logits = np.asarray(found["attribute_logits"])[kept, :-1]
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances = weights / weights.sum(axis=1, keepdims=True)
    return {
        "rows": kept,
        "features": np.asarray(found["features"])[kept],
        "boxes": np.array([boxes[row] for row in kept]) / [width, height, width, height],
        "class_ids": [classes[row] for row in kept],
        "class_confidences": [confidences[row] for row in kept],
        "attribute_ids": chances.argmax(axis=1).tolist(),
        "attribute_confidences": chances.max(axis=1).tolist(),
    }
