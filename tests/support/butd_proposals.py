"""Proposals of the bottom-up-attention detector whose confidences and boxes are known."""

import torch

from lxcompress.vision.butd.selection import Proposals

HEIGHT, WIDTH = 1200, 1000


def estimates(duplicates: int, distinct: int, paired: int) -> tuple[Proposals, list[str]]:
    """Confident duplicates of one box, and less confident boxes elsewhere; and the kind of each.

    Each paired box overlaps a distinct one by 0.54 (intersection over union). The first feature of
    a proposal is its row. The rows are in random order.
    """
    kinds = ["duplicate"] * duplicates + ["distinct"] * distinct + ["paired"] * paired
    boxes = [[900.0, 1100.0, 980.0, 1180.0]] * duplicates
    for start, count in ((0, distinct), (15, paired)):
        for number in range(count):
            x, y = 90.0 * (number % 10), 60.0 * (number // 10)
            boxes.append([x + start, y, x + start + 50, y + 40])
    order = torch.randperm(len(kinds), generator=torch.Generator().manual_seed(0)).tolist()
    kinds, boxes = [kinds[row] for row in order], [boxes[row] for row in order]
    logits = torch.tensor([[1.0 if kind == "duplicate" else -1.0, 0.0] for kind in kinds])
    # All differ, so that their order is certain.
    logits[:, 0] += torch.linspace(0, 0.5, len(kinds))
    count = len(kinds)
    proposals = Proposals(
        boxes=torch.tensor(boxes),
        features=torch.arange(float(count))[:, None],
        class_logits=logits,
        attribute_logits=torch.zeros(count, 3),
        deltas=torch.zeros(count, 1, 4),
    )
    return proposals, kinds
