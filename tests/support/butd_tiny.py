"""A small bottom-up-attention detector, and the two files of one."""

from pathlib import Path

import torch
import yaml

from benchmarks.measure.random_detector import random_network
from lxcompress.vision.butd.architecture import Architecture
from lxcompress.vision.butd.network import BottomUpNetwork

__all__ = ["TINY", "random_network", "write_weights"]

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
