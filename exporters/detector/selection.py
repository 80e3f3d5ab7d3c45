"""Boxes and the selection of regions in an ONNX graph, as `lxcompress.vision.butd` has them."""

from __future__ import annotations

from collections.abc import Sequence

from exporters.detector.builder import GraphBuilder
from lxcompress.vision.butd.boxes import LARGEST_LOG_SCALE
from lxcompress.vision.butd.selection import (
    CANDIDATES,
    CLASS_WEIGHTS,
    DISTINCT_CANDIDATES,
    OVERLAPS,
)
from lxcompress.vision.butd.setting import MAX_REGIONS


class Selection:
    """Adds nodes to a graph.

    sides: the picture's width, height, width and height in pixels, float32 `[4]`.
    """

    def __init__(self, graph: GraphBuilder, sides: str) -> None:
        self.g, self.sides = graph, sides

    def shift(self, boxes: str, deltas: str, weights: Sequence[float]) -> str:
        """`lxcompress.vision.butd.boxes.shift_boxes`."""
        g = self.g
        deltas = g("Div", deltas, g.floats(*weights))
        low, high = self._halves(boxes)
        size = g("Sub", high, low)
        moved, logarithm = self._halves(deltas)
        centre = g("Add", g("Mul", moved, size), g("Add", low, g("Mul", size, g.floats(0.5))))
        size = g("Mul", g("Exp", g("Min", logarithm, g.floats(LARGEST_LOG_SCALE))), size)
        half = g("Mul", size, g.floats(0.5))
        return g("Concat", g("Sub", centre, half), g("Add", centre, half), axis=1)

    def clip(self, boxes: str) -> str:
        """`lxcompress.vision.butd.boxes.clip_boxes`."""
        return self.g("Max", self.g("Min", boxes, self.sides), self.g.floats(0))

    def suppress(self, boxes: str, scores: str, overlap: float, limit: int) -> str:
        """`lxcompress.vision.butd.boxes.suppress`."""
        g = self.g
        chosen = g(
            "NonMaxSuppression",
            g("Unsqueeze", boxes, g.ints(0)),
            g("Unsqueeze", scores, g.ints(0, 1)),
            g.ints(limit),
            g.floats(overlap),
        )
        return g.column(chosen, 2)

    def classify(self, proposals: dict[str, str]) -> tuple[str, str, str]:
        """Confidence [n], class [n] and regressed box [n, 4] of each proposal."""
        confidences, classes = self._likeliest(proposals["class_logits"], softmax_all=True)
        index = self.g("Unsqueeze", classes, self.g.ints(1))
        deltas = self.g("GatherND", proposals["deltas"], index, batch_dims=1)
        boxes = self.clip(self.shift(proposals["boxes"], deltas, CLASS_WEIGHTS))
        return confidences, classes, boxes

    def select(self, proposals: dict[str, str]) -> dict[str, str]:
        """`lxcompress.vision.butd.selection.select`: the outputs of the graph by name."""
        g = self.g
        confidences, classes, boxes = self.classify(proposals)
        kept = self._distinct(boxes, confidences, MAX_REGIONS)
        logits = g("Gather", proposals["attribute_logits"], kept)
        attribute_confidences, attributes = self._likeliest(logits, softmax_all=False)
        return {
            "boxes": g("Div", g("Gather", boxes, kept), self.sides),
            "features": g("Gather", proposals["features"], kept),
            "class_ids": g("Gather", classes, kept),
            "class_confidences": g("Gather", confidences, kept),
            "attribute_ids": attributes,
            "attribute_confidences": attribute_confidences,
        }

    def candidates(self, estimates: dict[str, str]) -> str:
        """`lxcompress.vision.butd.selection.candidates`."""
        g = self.g
        confidences, _, boxes = self.classify(estimates)
        distinct = self._distinct(boxes, confidences, DISTINCT_CANDIDATES)
        raised = g("Add", g("Gather", confidences, distinct), g.floats(1))
        ranks = g("ScatterElements", confidences, distinct, raised)
        count = g("Min", g.size(confidences, 0), g.ints(CANDIDATES))
        best = g("TopK", ranks, count, outputs=2)
        # In the order of the rows; the first output of TopK has the values.
        g("TopK", best, count, outputs=2, largest=0)
        return g.output(0)

    def _distinct(self, boxes: str, confidences: str, limit: int) -> str:
        """What suppression leaves, at the first threshold that leaves 36 regions, or the last."""
        g = self.g
        *thresholds, last = OVERLAPS
        kept = self.suppress(boxes, confidences, last, limit)
        for overlap in reversed(thresholds):
            fewer = self.suppress(boxes, confidences, overlap, limit)
            enough = g("GreaterOrEqual", g.size(fewer, 0), g.ints(MAX_REGIONS))
            kept = g.choose(enough, fewer, kept)
        return kept

    def _likeliest(self, logits: str, *, softmax_all: bool) -> tuple[str, str]:
        """Probability [n] and index [n] of the likeliest column but the last.

        softmax_all: whether the last one takes part in the probabilities.
        """
        g = self.g
        if softmax_all:
            logits = g("Softmax", logits, axis=1)
        values = g("Slice", logits, g.ints(0), g.ints(-1), g.ints(1))
        if not softmax_all:
            values = g("Softmax", values, axis=1)
        best = g("ArgMax", values, axis=1, keepdims=0)
        return g("ReduceMax", values, g.ints(1), keepdims=0), best

    def _halves(self, values: str) -> tuple[str, str]:
        """The first two and the last two columns."""
        cut = [tuple(map(self.g.ints, (start, end, 1))) for start, end in ((0, 2), (2, 4))]
        first, second = (self.g("Slice", values, *limits) for limits in cut)
        return first, second
