"""A bottom-up-attention network with random weights, whose values have sane sizes."""

from __future__ import annotations

import torch
from torch import nn

from lxcompress.vision.butd.architecture import Architecture
from lxcompress.vision.butd.network import BottomUpNetwork
from lxcompress.vision.butd.resnet import Bottleneck, FrozenBatchNorm


def random_network(seed: int, architecture: Architecture) -> BottomUpNetwork:
    """Weights that keep activations, boxes and probabilities in the range of a trained network."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = BottomUpNetwork(architecture)
        for module in network.modules():
            if isinstance(module, FrozenBatchNorm):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        # The residual branches are small, so that values do not explode over many blocks; the stem
        # sees values of about 100.
        blocks = [block for block in network.modules() if isinstance(block, Bottleneck)]
        for block in blocks:
            block.conv3.norm.weight.mul_(0.7 / len(blocks) ** 0.5)
        network.backbone.stem.conv1.norm.weight.mul_(0.02)
        head, predictor = network.proposal_generator.rpn_head, network.roi_heads.box_predictor
        head.anchor_deltas.weight.mul_(0.2)
        small = architecture.feature_size**-0.5
        nn.init.normal_(predictor.cls_score.weight, std=0.8 * small)
        nn.init.normal_(predictor.bbox_pred.weight, std=1.6 * small)
        nn.init.normal_(predictor.attr_score.weight, std=8 * small)
    return network.eval()
