"""What a ticket weighs, by counting."""

import torch
from torch import nn

from lxcompress.pruning.mask import Mask
from lxcompress.pruning.ticket_size import ticket_sizes


def test_sizes_by_hand() -> None:
    model = nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 7, bias=False), nn.LayerNorm(7))
    keep = {"0.weight": torch.ones(3, 5, dtype=torch.bool), "1.weight": torch.ones(7, 3) > 0}
    keep["0.weight"][0] = False
    keep["1.weight"][:4] = False
    # 15 + 3 + 21 + 7 + 7 values; 5 and 12 of them are removed; 15 and 21 bits fill 2 and 3 bytes.
    assert ticket_sizes(model, Mask(keep)) == {
        "dense": 4 * 53,
        "bitmask": 4 * (53 - 17) + 2 + 3,
        "mask": 5,
    }
