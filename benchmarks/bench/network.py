"""The shapes of the networks that a run's files compute: heads, neurons and multiply-adds."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from transformers import LxmertForQuestionAnswering

from benchmarks.bench.schema import Network, Units
from benchmarks.measure.multiply_adds import multiply_adds
from exporters.graph.onnx_file import OnnxFile
from exporters.graph.structure import Structure
from exporters.variants import VARIANTS
from lxcompress.model.compact import remove_units
from lxcompress.model.lxmert import read_config
from lxcompress.model.prunable import modality
from lxcompress.model.sublayers import Sublayer, sublayers
from lxcompress.run import Run

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


def of_files(run: Run, variants: Sequence[str], tokens: int, regions: int) -> Network:
    """Return what the run's ticket files compute, for a question of `tokens` and `regions`.

    The files say which heads and neurons they have; all of one run have the same.
    """
    ticket = next(VARIANTS[name] for name in variants if VARIANTS[name].sparse)
    structure = Structure.loads(OnnxFile(run.onnx / ticket.file).metadata["structure"])
    with torch.device("meta"):  # the shapes are enough
        model = LxmertForQuestionAnswering(read_config(run.dense))
    dense, counts = multiply_adds(model, tokens, regions), structure.counts
    units = [_units(layer, counts.get(layer.name, layer.units)) for layer in sublayers(model)]
    remove_units(model, structure.by_name)
    return Network(
        tokens=tokens,
        regions=regions,
        dense=dense,
        ticket=multiply_adds(model, tokens, regions),
        units=units if counts else [],
    )


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
