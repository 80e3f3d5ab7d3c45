"""Names of what a detector found in regions, such as "red bus"."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from lxcompress.vision.regions import Regions

_ASSETS = Path(__file__).parents[1] / "assets" / "visual_genome"

# The class threshold is that of bottom-up-attention's `tools/generate_tsv.py`, the attribute
# threshold that of its demo: attributes are far less certain than classes.
_LEAST_CLASS_CONFIDENCE = 0.2
_LEAST_ATTRIBUTE_CONFIDENCE = 0.1


def region_names(regions: Regions) -> list[str | None]:
    """Return the name of each region: its attribute and its object, such as "red bus".

    Only the object where the attribute's confidence is not above 0.1; None where that of the class
    is not above 0.2, and for regions without `objects`.
    """
    found = regions.objects
    if found is None:
        return [None] * len(regions.boxes)
    objects, attributes = _vocabulary("objects"), _vocabulary("attributes")
    names: list[str | None] = []
    for row, (object_id, attribute_id) in enumerate(
        zip(found.class_ids, found.attribute_ids, strict=True)
    ):
        if found.class_confidences[row] <= _LEAST_CLASS_CONFIDENCE:
            names.append(None)
        elif found.attribute_confidences[row] <= _LEAST_ATTRIBUTE_CONFIDENCE:
            names.append(objects[object_id])
        else:
            names.append(f"{attributes[attribute_id]} {objects[object_id]}")
    return names


@lru_cache(maxsize=2)
def _vocabulary(name: str) -> list[str]:
    """The names of a shipped list, of synonyms the first."""
    lines = (_ASSETS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.split(",")[0].strip() for line in lines]
