"""The bottom-up-attention network with its selection of regions, as one ONNX graph.

The operators are those of opset 21 that ONNX Runtime has on every platform: `MaxRoiPool` is RoIPool
and `NonMaxSuppression` the greedy suppression. Batch normalisation is folded into the convolutions.
The sizes of the picture are dynamic.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper
from torch import nn

from exporters.detector.builder import GraphBuilder
from exporters.detector.selection import Selection
from lxcompress.vision.butd.architecture import STRIDE
from lxcompress.vision.butd.network import (
    ANCHOR_WEIGHTS,
    MAX_BEFORE_SUPPRESSION,
    PROPOSAL_OVERLAP,
    BottomUpNetwork,
)
from lxcompress.vision.butd.onnx_detector import INPUT, OUTPUTS
from lxcompress.vision.butd.resnet import BATCH_NORM_EPSILON, Bottleneck, Convolution, blocks_of
from lxcompress.vision.butd.setting import DetectorSetting

OPSET = 21  # ONNX Runtime Web has no MaxRoiPool in later ones
_IR_VERSION = 10


def build_model(network: BottomUpNetwork, setting: DetectorSetting) -> ModelProto:
    """Return the graph from a picture to its regions.

    network: in float32 on the CPU.

    The input `picture` is `[3, height, width]` float32, resized, BGR, 0-255 minus the mean. The
    outputs are the fields of `Regions` and `RegionObjects`.
    """
    build = _Network(network)
    features = build.backbone()
    boxes = build.proposals(features, min(setting.proposals, network.architecture.max_proposals))
    if setting.screening:
        pooled = build.pool(features, boxes)
        quarter = build.g(
            "Slice", pooled, *(build.g.ints(*v) for v in ((0, 0), (14, 14), (2, 3), (2, 2)))
        )
        estimates = build.predict(build.mean(quarter, dilation=1), boxes)
        chosen = build.selection.candidates(estimates)
        boxes = build.g("Gather", boxes, chosen)
        pooled = build.g("Gather", pooled, chosen)
    else:
        pooled = build.pool(features, boxes)
    found = build.selection.select(build.predict(build.mean(pooled, dilation=2), boxes))
    for name in OUTPUTS:
        build.g.rename(found[name], name)
    outputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape)
        for name, (kind, shape) in OUTPUTS.items()
    ]
    picture = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [3, "height", "width"])
    graph = build.g.graph("bottom_up_attention", [picture], outputs)
    opset = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opset, ir_version=_IR_VERSION)


class _Network:
    """The parts of the network, each added to the graph `g` by a method."""

    def __init__(self, network: BottomUpNetwork) -> None:
        self.network, self.g = network, GraphBuilder()
        self.names = {id(module): name for name, module in network.named_modules()}
        height, width = (
            self.g("Cast", self.g.size(INPUT, axis), to=TensorProto.FLOAT) for axis in (1, 2)
        )
        sides = self.g("Concat", width, height, width, height, axis=0)
        self.selection = Selection(self.g, sides)

    def backbone(self) -> str:
        """From the picture to its feature map [1, C, H, W]."""
        backbone = self.network.backbone
        x = self.g("Unsqueeze", INPUT, self.g.ints(0))
        x = self.g("Relu", self.convolution(x, backbone.stem.conv1))
        x = self.g("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
        for stage in (backbone.res2, backbone.res3, backbone.res4):
            for block in blocks_of(stage):
                x = self.block(x, block)
        return x

    def convolution(self, x: str, module: Convolution, dilation: int | None = None) -> str:
        """A convolution with its batch normalisation; `dilation` replaces its own."""
        norm, name = module.norm, self.names[id(module)]
        scale = norm.weight.double() / (norm.running_var.double() + BATCH_NORM_EPSILON).sqrt()
        weight = module.weight.double() * scale[:, None, None, None]
        bias = norm.bias.double() - norm.running_mean.double() * scale
        dilation = dilation or module.dilation[0]
        return self.g(
            "Conv",
            x,
            self.g.weight(f"{name}.weight", weight.float().numpy()),
            self.g.weight(f"{name}.bias", bias.float().numpy()),
            strides=list(module.stride),
            pads=[dilation * (module.kernel_size[0] // 2)] * 4,
            dilations=[dilation, dilation],
        )

    def block(self, x: str, block: Bottleneck, dilation: int | None = None) -> str:
        """A residual block; `dilation` replaces that of its 3x3 convolution."""
        inner = self.g("Relu", self.convolution(x, block.conv1))
        inner = self.g("Relu", self.convolution(inner, block.conv2, dilation))
        out = self.convolution(inner, block.conv3)
        around = x if block.shortcut is None else self.convolution(x, block.shortcut)
        return self.g("Relu", self.g("Add", out, around))

    def plain(self, x: str, module: nn.Conv2d) -> str:
        """A convolution with a bias, without normalisation."""
        name = self.names[id(module)]
        assert module.bias is not None
        return self.g(
            "Conv",
            x,
            self.g.weight(f"{name}.weight", module.weight.numpy()),
            self.g.weight(f"{name}.bias", module.bias.numpy()),
            pads=[module.kernel_size[0] // 2] * 4,
        )

    def proposals(self, features: str, limit: int) -> str:
        """Up to `limit` boxes in pixels, at least one. [n, 4]"""
        g, head = self.g, self.network.proposal_generator.rpn_head
        inner = g("Relu", self.plain(features, head.conv))
        flat = {}
        for module, columns in ((head.objectness_logits, (-1,)), (head.anchor_deltas, (-1, 4))):
            by_point = g("Transpose", self.plain(inner, module), perm=[0, 2, 3, 1])
            flat[columns] = g("Reshape", by_point, g.ints(*columns))
        scores, deltas = flat[-1,], flat[-1, 4]

        steps = [self._steps(features, axis) for axis in (2, 3)]
        y = g("Mul", g("Reshape", steps[0], g.ints(-1, 1, 1, 1)), g.floats(0, 1, 0, 1))
        x = g("Mul", g("Reshape", steps[1], g.ints(1, -1, 1, 1)), g.floats(1, 0, 1, 0))
        cell = self.network.proposal_generator.anchor_generator.cell_anchors[0].numpy()
        grid = g("Add", g("Add", y, x), g.weight("cell_anchors", cell))
        grid = g("Reshape", grid, g.ints(-1, 4))

        count = g("Min", g.size(scores, 0), g.ints(MAX_BEFORE_SUPPRESSION))
        best = g("TopK", scores, count, outputs=2)
        scores, deltas, grid = (g("Gather", values, best) for values in (scores, deltas, grid))
        boxes = self.selection.clip(self.selection.shift(grid, deltas, ANCHOR_WEIGHTS))
        sides = [g("Less", g.column(boxes, low), g.column(boxes, low + 2)) for low in (0, 1)]
        inside = g("And", *sides)
        # Where none is inside the picture, all of it is proposed.
        some = g("ReduceMax", g("Cast", inside, to=TensorProto.INT32), g.ints(0))
        inside = g("Concat", inside, g("Not", g("Cast", some, to=TensorProto.BOOL)), axis=0)
        sides_of_all = g("Mul", self.selection.sides, g.floats(0, 0, 1, 1))
        boxes = g("Concat", boxes, g("Unsqueeze", sides_of_all, g.ints(0)), axis=0)
        scores = g("Concat", scores, g.floats(0), axis=0)
        rows = g("Squeeze", g("NonZero", inside), g.ints(0))
        boxes, scores = g("Gather", boxes, rows), g("Gather", scores, rows)
        return g("Gather", boxes, self.selection.suppress(boxes, scores, PROPOSAL_OVERLAP, limit))

    def _steps(self, features: str, axis: int) -> str:
        """The pixel of each point along one side of the feature map. [H] or [W] float32"""
        length = self.g("Squeeze", self.g.size(features, axis), self.g.ints(0))
        steps = self.g("Range", self.g.scalar(0), length, self.g.scalar(1))
        return self.g("Mul", self.g("Cast", steps, to=TensorProto.FLOAT), self.g.floats(STRIDE))

    def pool(self, features: str, boxes: str) -> str:
        """RoIPool. [n, C, 14, 14]"""
        batch = self.g(
            "Mul", self.g("Slice", boxes, *map(self.g.ints, (0, 1, 1))), self.g.floats(0)
        )
        regions = self.g("Concat", batch, boxes, axis=1)
        return self.g(
            "MaxRoiPool", features, regions, pooled_shape=[14, 14], spatial_scale=1 / STRIDE
        )

    def mean(self, pooled: str, dilation: int) -> str:
        """The mean of res5 over the cells of each box. [n, F]"""
        for block in blocks_of(self.network.roi_heads.res5):
            pooled = self.block(pooled, block, dilation)
        return self.g("ReduceMean", pooled, self.g.ints(2, 3), keepdims=0)

    def predict(self, features: str, boxes: str) -> dict[str, str]:
        """The fields of `Proposals`."""
        g, predictor = self.g, self.network.roi_heads.box_predictor
        class_logits = self._linear(features, predictor.cls_score)
        best = g("ArgMax", class_logits, axis=1, keepdims=0)
        table = g.weight("cls_embedding", predictor.cls_embedding.weight.numpy())
        conditioned = g("Concat", features, g("Gather", table, best), axis=1)
        inner = g("Relu", self._linear(conditioned, predictor.fc_attr))
        deltas = self._linear(features, predictor.bbox_pred)
        classes = self.network.architecture.classes
        return {
            "boxes": boxes,
            "features": features,
            "class_logits": class_logits,
            "attribute_logits": self._linear(inner, predictor.attr_score),
            "deltas": g("Reshape", deltas, g.ints(-1, classes, 4)),
        }

    def _linear(self, x: str, module: nn.Linear) -> str:
        name = self.names[id(module)]
        weight = self.g.weight(f"{name}.weight", np.asarray(module.weight))
        bias = self.g.weight(f"{name}.bias", np.asarray(module.bias))
        return self.g("Gemm", x, weight, bias, transB=1)
