"""A small bottom-up-attention detector with random weights, and its two files."""

from pathlib import Path

import torch
import yaml
from torch import nn

from lxcompress.vision.butd.architecture import Architecture
from lxcompress.vision.butd.network import BottomUpNetwork
from lxcompress.vision.butd.resnet import Bottleneck, FrozenBatchNorm

TINY = Architecture(
    blocks=(1, 2, 2),
    width=8,
    classes=12,
    attributes=7,
    anchor_sizes=(16, 32, 64, 96),
    short_side=96,
    long_side=160,
    max_proposals=60,
)


def random_network(seed: int, architecture: Architecture = TINY) -> BottomUpNetwork:
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


def write_weights(folder: Path, network: BottomUpNetwork) -> Path:
    """`config.yaml` and `pytorch_model.bin` as the published weights have them."""
    folder.mkdir(parents=True, exist_ok=True)
    size = network.architecture
    config = {
        "anchor_generator": {
            "aspect_ratios": [[0.5, 1, 2]],
            "offset": 0.0,
            "sizes": [list(size.anchor_sizes)],
        },
        "input": {
            "format": "BGR",
            "max_size_test": size.long_side,
            "min_size_test": size.short_side,
        },
        "max_detections": 36,
        "model": {
            "device": "cpu",
            "max_pool": 1,
            "pixel_mean": [102.9801, 115.9465, 122.7717],
            "pixel_std": [1, 1, 1],
        },
        "resnets": {"depth": 101, "norm": "BN", "stride_in_1x1": True},
        "roi_box_head": {
            "bbox_reg_weights": [10, 10, 5, 5],
            "num_attrs": size.attributes,
            "res5halve": False,
        },
        "roi_heads": {"num_classes": size.classes, "nms_thresh_test": [0.5, 0.6, 0.7]},
        "rpn": {"bbox_reg_weights": [1, 1, 1, 1]},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    torch.save(network.state_dict(), folder / "pytorch_model.bin")
    return folder
