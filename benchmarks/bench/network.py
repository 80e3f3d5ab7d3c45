"""The shapes of the networks that exported files compute: heads, neurons and multiply-adds."""

from __future__ import annotations

import re
from pathlib import Path

from transformers import LxmertForQuestionAnswering

from benchmarks.bench.schema import Network, Units
from benchmarks.measure.multiply_adds import multiply_adds
from exporters.graph.onnx_file import OnnxFile
from exporters.graph.structure import Structure
from lxcompress.model.compact import remove_units
from lxcompress.model.prunable import modality
from lxcompress.model.sublayers import Sublayer, sublayers

# By the name of the module within its layer.
SUBLAYERS = {
    "attention.self": "attention",
    "intermediate": "feed-forward",
    "visual_attention.att": "cross-attention",
    "lang_self_att.self": "language attention",
    "lang_inter": "language feed-forward",
    "visn_self_att.self": "vision attention",
    "visn_inter": "vision feed-forward",
}
_MODULE = re.compile(r"lxmert\.encoder\.\w+\.(\d+)\.(.+)")


def of_files(
    dense: LxmertForQuestionAnswering, ticket: Path | None, tokens: int, regions: int
) -> Network:
    """Return what the files compute, for a question of `tokens` and `regions`.

    dense: the dense model; its shapes are enough. It is changed.
    ticket: one of the ticket's files, which says which heads and neurons it has; all of one run
        have the same. None without a ticket.
    """
    counted = multiply_adds(dense, tokens, regions)
    found = Network(tokens=tokens, regions=regions, dense=counted, ticket=None, units=[])
    if ticket is None:
        return found
    structure = Structure.loads(OnnxFile(ticket).metadata["structure"])
    counts = structure.counts
    units = [_units(layer, counts.get(layer.name, layer.units)) for layer in sublayers(dense)]
    remove_units(dense, structure.by_name)
    left = multiply_adds(dense, tokens, regions)
    return found.model_copy(update={"ticket": left, "units": units if counts else []})


def _units(layer: Sublayer, left: int) -> Units:
    match = _MODULE.fullmatch(layer.name)
    assert match
    return Units.model_validate(
        {
            "module": layer.name,
            "part": modality(layer.name),
            "layer": int(match[1]),
            "sublayer": SUBLAYERS[match[2]],
            "kind": layer.kind,
            "left": left,
            "of": layer.units,
        }
    )
