"""Measure how the latency of LXMERT depends on the number of heads and neurons.

The table is measured in ONNX Runtime on this machine, with random weights: latency does not depend
on their values. A few layers of the architecture's width are run as a whole, once with all units
and once for each smaller number of units in one kind of sublayer; the difference, divided by the
number of such sublayers, is what one of them adds. Without its last unit a sublayer is taken to
add as much as with it, although a little more is saved. Measured by itself, a sublayer would find
its weights in the processor's cache, where those of a whole model do not fit.

A whole model is not the sum of its sublayers. So it is measured with all units, with half of them
and with one in each sublayer, and what the sublayers add is scaled to give these differences.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import isotonic_regression
from transformers import LxmertConfig

import lxcompress
from exporters.encodings.encode_model import encode_model
from exporters.graph.interface import OUTPUT
from exporters.graph.metadata import AnswerMetadata
from exporters.graph.onnx_file import write_model
from exporters.graph.resize import resize
from exporters.graph.trace import Graph, build_graph
from exporters.runtime.session import stock_session
from exporters.variants import VARIANTS
from lxcompress.errors import ConfigError
from lxcompress.model.lxmert import without_weights
from lxcompress.model.sublayers import Sublayer, sublayers
from lxcompress.pruning.latency_table import LatencyTable
from lxcompress.system.cache import writable_cache
from lxcompress.system.files import write_json
from lxcompress.system.machine.environment import onnx_machine
from lxcompress.system.machine.threads import threads_for
from lxcompress.system.progress import progress
from lxcompress.system.timing import time_in_rounds

_METHOD = 2  # of measuring: another one does not use the tables of the one before
_ROUNDS, _SECONDS = 30, 2.0  # at least, for each kind of sublayer
_FEW_LAYERS = {"l_layers": 1, "r_layers": 1, "x_layers": 2}
_WORDS = 100  # of the vocabulary: embeddings take no time, but memory
_DEVIATION = 0.02  # of random weights, as LXMERT's initial ones

_ARCHITECTURE = (
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "l_layers",
    "r_layers",
    "x_layers",
    "visual_feat_dim",
    "num_qa_labels",
    "hidden_act",
)
"""What the latency depends on."""


def latency_table(
    architecture: LxmertConfig, precision: str, batch: int, tokens: int, regions: int
) -> LatencyTable:
    """Return the latencies of an architecture on this machine, measured or from the cache.

    Args:
        precision: of the weights, "fp32" or "int8".
        batch, tokens, regions: the shape of the questions.

    Raises:
        ConfigError: the cache cannot be written to, or holds a table of another machine.
    """
    model = without_weights(architecture)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    machine = onnx_machine(threads_for(parameters))
    shape: dict[str, Any] = {
        "precision": precision,
        "batch": batch,
        "tokens": tokens,
        "regions": regions,
    }
    key = {
        **shape,
        **{name: getattr(architecture, name) for name in _ARCHITECTURE},
        "lxcompress": lxcompress.__version__,
        "method": _METHOD,
        "machine": machine,
    }
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    path = writable_cache("latencies") / f"{name}.json"
    if not path.exists():
        table = _measure(architecture, machine, **shape)
        write_json(path, table.model_dump(mode="json"))
    table = LatencyTable.load(
        path, "table of latencies", ConfigError, remedy="delete it, to measure again"
    )
    if table.machine != machine:
        raise ConfigError(f"{path} was measured on another machine; delete it, to measure here")
    return table


def _measure(
    architecture: LxmertConfig,
    machine: dict[str, Any],
    *,
    precision: str,
    batch: int,
    tokens: int,
    regions: int,
) -> LatencyTable:
    whole, few = _architectures(architecture)
    kinds = _by_kind(few)
    inputs = _inputs(architecture, batch, tokens, regions)
    sizes = sum(len(_fewer_units(layers[0])) for layers in kinds.values())
    with (
        tempfile.TemporaryDirectory(prefix="lxcompress-", ignore_cleanup_errors=True) as folder,
        progress("Measuring latencies", sizes + 4, "sizes") as meter,
    ):

        def open_model(graph: Graph) -> Callable[[], object]:
            path = Path(folder) / "model.onnx"
            _write_random(graph, precision, path)
            session = stock_session(path, threads=machine["threads"] or 0)
            path.unlink()
            meter.advance()
            return lambda: session.run([OUTPUT], inputs)

        graph, whole_graph = build_graph(few), build_graph(whole)
        all_units = open_model(graph)
        shares = {}
        for kind, layers in kinds.items():
            smaller = {
                count: open_model(resize(graph, dict.fromkeys(layers, count)))
                for count in _fewer_units(layers[0])
            }
            shares[kind] = _shares(smaller, layers, all_units)
        layers = sublayers(without_weights(architecture))
        whole_models = {"all": open_model(whole_graph)}
        for name, size in (("half", 1), ("one", 0)):
            units = {layer: _sizes(layer)[size] for layer in layers}
            whole_models[name] = open_model(resize(whole_graph, units))
        latencies = _medians(whole_models)
    added = [
        [shares[_kind(layer, architecture)][size] for size in _sizes(layer)] for layer in layers
    ]
    scaled = _scaled(np.array(added), [latencies[name] for name in ("one", "half", "all")])
    return LatencyTable(
        precision=precision,
        batch=batch,
        tokens=tokens,
        regions=regions,
        dense=latencies["all"],
        sublayers={
            layer.name: dict(zip(_sizes(layer), curve.tolist(), strict=True))
            for layer, curve in zip(layers, scaled, strict=True)
        },
        machine=machine,
    )


def _architectures(architecture: LxmertConfig) -> tuple[LxmertConfig, LxmertConfig]:
    """Return the architecture with few words, and the same with few layers."""
    whole = copy.deepcopy(architecture)
    whole.vocab_size = _WORDS
    few = copy.deepcopy(whole)
    for name, most in _FEW_LAYERS.items():
        setattr(few, name, min(most, getattr(architecture, name)))
    return whole, few


def _kind(layer: Sublayer, architecture: LxmertConfig) -> str:
    """Return which sublayers of an architecture take as long as `layer`."""
    found = re.fullmatch(r"lxmert\.encoder\.(layer|r_layers|x_layers)\.(\d+)\.(.+)", layer.name)
    assert found is not None
    part, index, name = found.groups()
    if name.startswith("visual_attention."):
        # In the last layer, only the language reads the picture.
        is_last = int(index) == architecture.x_layers - 1
        return "in one direction" if is_last else "in both directions"
    is_language = part == "layer" or name.startswith("lang_")
    return f"{layer.kind} of {'language' if is_language else 'vision'}"


def _by_kind(architecture: LxmertConfig) -> dict[str, list[Sublayer]]:
    kinds: dict[str, list[Sublayer]] = {}
    for layer in sublayers(without_weights(architecture)):
        kinds.setdefault(_kind(layer, architecture), []).append(layer)
    return kinds


def _sizes(layer: Sublayer) -> tuple[int, int, int]:
    """Return the numbers of units that are measured: one, half, all."""
    return 1, max(1, layer.units // 2), layer.units


def _fewer_units(layer: Sublayer) -> list[int]:
    return sorted({*_sizes(layer)} - {layer.units})


def _scaled(added: np.ndarray, whole: Sequence[float]) -> np.ndarray:
    """Scale what the sublayers add, so that together they add what whole models show.

    Args:
        added: what each sublayer adds with one, half and all of its units, in any unit of time.
            `[sublayers, 3]`.
        whole: latencies of whole models with one, half and all units of every sublayer. More units
            never take less time: where they were measured so, it is noise.

    Returns:
        What each sublayer adds above one unit, in the unit of `whole`. `[sublayers, 3]`.
    """
    steps = np.diff(added, axis=1)
    sums = steps.sum(axis=0)
    measured = np.diff(isotonic_regression(whole).x)
    factors = np.divide(measured, sums, out=np.zeros_like(sums), where=sums > 0)
    return np.pad(np.cumsum(factors * steps, axis=1), ((0, 0), (1, 0)))


def _write_random(graph: Graph, precision: str, path: Path) -> None:
    """Write the dense file of a model with random weights."""
    random = torch.Generator().manual_seed(0)
    parameters = {
        name: _DEVIATION
        * torch.randn(shape[::-1] if name in graph.matrices else shape, generator=random)
        for name, shape in graph.weights.items()
    }
    labels = ["yes", "no"]
    answers = AnswerMetadata(labels, tokenizer="", max_tokens=0)
    write_model(encode_model(graph, parameters, VARIANTS[precision], answers), path)


def _inputs(
    architecture: LxmertConfig, batch: int, tokens: int, regions: int
) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    features = random.random((batch, regions, architecture.visual_feat_dim), np.float32)
    return {
        "input_ids": random.integers(1, _WORDS, (batch, tokens)),
        "attention_mask": np.ones((batch, tokens), np.int64),
        "token_type_ids": np.zeros((batch, tokens), np.int64),
        "visual_feats": features,
        "visual_pos": random.random((batch, regions, 4), np.float32),
        "visual_attention_mask": np.ones((batch, regions), np.int64),
    }


def _medians(systems: Mapping[Any, Callable[[], object]]) -> dict[Any, float]:
    """Return the median latencies in milliseconds, of interleaved runs."""
    samples = time_in_rounds(systems, rounds=_ROUNDS, seconds=_SECONDS)
    return {name: 1000 * float(np.median(taken)) for name, taken in samples.items()}


def _shares(
    smaller: Mapping[int, Callable[[], object]],
    layers: Sequence[Sublayer],
    all_units: Callable[[], object],
) -> dict[int, float]:
    """Return, by number of units, what one of `layers` adds to the latency with all units.

    As a fraction of that, above what the smallest number takes. More units never take less time:
    where they were measured so, it is noise.
    """
    medians = _medians({**smaller, layers[0].units: all_units})
    counts = sorted(medians)
    latencies = isotonic_regression([medians[count] for count in counts]).x
    added = (latencies - latencies[0]) / latencies[-1] / len(layers)
    return dict(zip(counts, added.tolist(), strict=True))
