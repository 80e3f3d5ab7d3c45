"""Names of regions: the shipped lists, thresholds, and the names of LXMERT's own detections."""

from __future__ import annotations

import base64
import csv

import numpy as np
import pytest
from shared import SHARED

from lxcompress.vision.region_names import region_names
from lxcompress.vision.regions import RegionObjects, Regions

COCO = SHARED / "coco-sample"


def regions(
    class_ids: list[int],
    class_confidences: list[float],
    attribute_ids: list[int],
    attribute_confidences: list[float],
) -> Regions:
    count = len(class_ids)
    objects = RegionObjects(
        np.array(class_ids),
        np.array(class_confidences, np.float32),
        np.array(attribute_ids),
        np.array(attribute_confidences, np.float32),
    )
    return Regions(np.zeros((count, 8), np.float32), np.zeros((count, 4), np.float32), objects)


def test_the_first_and_last_names_of_the_lists() -> None:
    """1,600 classes and 400 attributes; of synonyms (gray,grey) the first."""
    found = regions([0, 1599, 16], [0.9] * 3, [0, 399, 2], [0.9] * 3)
    assert region_names(found) == ["gray yolk", "leaning buoy", "double decker stop sign"]
    with pytest.raises(IndexError):
        region_names(regions([1600], [0.9], [0], [0.9]))


def test_uncertain_classes_and_attributes_are_not_named() -> None:
    found = regions([1, 1, 1, 1], [0.21, 0.21, 0.19, 0.19], [0] * 4, [0.11, 0.09, 0.11, 0.09])
    assert region_names(found) == ["gray goal", "goal", None, None]


def test_regions_without_objects_have_no_names() -> None:
    found = Regions(np.zeros((2, 8), np.float32), np.zeros((2, 4), np.float32))
    assert region_names(found) == [None, None]


@pytest.mark.skipif(not COCO.is_dir(), reason="public pictures are not here")
def test_the_names_of_lxmert_s_own_detections() -> None:
    """The ids that LXMERT published for a photograph of a fire station with a truck."""
    csv.field_size_limit(1 << 30)
    with open(COCO / "train2014_obj36.tsv", newline="") as file:
        (row,) = (row for row in csv.reader(file, delimiter="\t") if row[0].endswith("387267"))
    columns = ((3, "i8"), (4, "f4"), (5, "i8"), (6, "f4"))
    found = regions(
        *(np.frombuffer(base64.b64decode(row[column]), kind).tolist() for column, kind in columns)
    )
    assert region_names(found)[:5] == ["red door", "blue sky", "building", "window", "red truck"]
