"""Size and latency of full-size LXMERT: PyTorch, dense ONNX, our files, and torch-pruning.

    python -m benchmarks.readme.peers --output benchmarks/results/peers.json

The weights are random, and so is the choice of the heads and neurons that are removed: one half or
two thirds of those of each sublayer. All systems answer the same questions in turn, on one thread.
torch-pruning (`pip install 'lxcompress[peers]'`) prunes to the multiply-adds of our half; where it
is missing or fails, the report says why.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LxmertForQuestionAnswering

from benchmarks.measure import latency
from benchmarks.measure.latency import Forward
from benchmarks.measure.memory import peak_bytes
from benchmarks.measure.multiply_adds import multiply_adds
from benchmarks.readme import full_size, onnx_files, speed_report
from benchmarks.readme.peers import torch_pruning_peer
from exporters.encodings.encode_model import encode_model
from exporters.graph.graphs import Graphs
from exporters.graph.onnx_file import OnnxFile, write_model
from exporters.graph.structure import Structure
from exporters.runtime.session import folded_session
from exporters.variants import VARIANTS
from exporters.verify.structure import check_structure
from exporters.verify.weights import check_weights
from lxcompress.model.answer_head import set_labels
from lxcompress.model.compact import compact
from lxcompress.model.prunable import prunable_parameters
from lxcompress.model.sublayers import sublayers
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.structured import removed_units, zero_biases
from lxcompress.system.text import one_line

MODULE = "benchmarks.readme.peers"
EAGER, TORCH_PRUNING = "PyTorch eager", "torch-pruning"
TOKENS = 9  # of a question for the multiply-adds: 6.2 words, [CLS], [SEP] and ?
_BATCH_SIZES = (1, 8)
_PRECISIONS = ("fp32", "int8")
# Systems by name: the share of each sublayer's units that remains, of the remaining weights the
# share that is pruned one by one, and whether it is timed.
_OURS = {
    "structured 50%": (1 / 2, 0.0, True),
    "structured 67%": (1 / 3, 0.0, True),
    "structured 50%, then unstructured, 75% in all": (1 / 2, 0.5, False),
}


def main(arguments: list[str] | None = None) -> None:
    parser = speed_report.options(MODULE, __doc__)
    parser.add_argument("--runs", type=int, default=30, help="minimum number for each system")
    parser.add_argument("--seconds", type=float, default=60, help="minimum for each batch size")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        systems, files, forwards = prepare(given.small, Path(temporary))
        model = full_size.new_model(given.small, stock=True).eval()
        forwards = {EAGER: latency.pytorch_forward(model, "cpu"), **forwards}
        measured = {
            str(size): onnx_files.time_answers(model, forwards, size, given.runs, given.seconds)
            for size in _BATCH_SIZES
        }
    speed_report.publish(
        MODULE,
        given,
        rows(systems, measured),
        questions=full_size.QUESTION_LENGTHS,
        tokens_of_multiply_adds=TOKENS,
        systems=systems,
        files=files,
        latency=measured,
        peak_bytes=peak_bytes(),
    )


def prepare(
    small: bool, folder: Path
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]], dict[str, Forward]]:
    """Write all files; return what each system is, each file's bytes, and what is to be timed."""
    dense = new_model(small)
    systems: dict[str, dict[str, Any]] = {
        EAGER: {"multiply_adds": multiply_adds(dense, TOKENS, full_size.REGIONS)}
    }
    graphs = Graphs(dense.config)
    paths = write_files(graphs, dense, None, "dense", folder)
    systems |= {name: dict(systems[EAGER]) for name in paths}
    untimed = set()
    for name, (share, unstructured, is_timed) in _OURS.items():
        model = new_model(small)
        mask = prune_at_random(model, share, unstructured)
        found = write_files(graphs, model, mask, name, folder)
        kept = {layer: ~units for layer, units in removed_units(model, mask).items()}
        count = multiply_adds(compact(model, kept), TOKENS, full_size.REGIONS)
        systems |= {each: {"multiply_adds": count, "sparsity": mask.sparsity} for each in found}
        paths |= found
        untimed |= set() if is_timed else set(found)
        del model, mask
    target = systems["structured 50% fp32"]["multiply_adds"]
    systems[TORCH_PRUNING] = found_by_torch_pruning(small, target, folder / "torch-pruning.onnx")
    if "error" not in systems[TORCH_PRUNING]:
        paths[TORCH_PRUNING] = folder / "torch-pruning.onnx"
    files = {name: {"unit": "bytes", "bytes": path.stat().st_size} for name, path in paths.items()}
    for name in paths.keys() - untimed:
        speed_report.status(f"loading {name}")
    forwards = {
        name: onnx_files.in_stock(folded_session(path, "cpu", 1))
        for name, path in paths.items()
        if name not in untimed
    }
    return systems, files, forwards


def new_model(small: bool) -> LxmertForQuestionAnswering:
    """Return the model that all systems are made from, each time with the same weights."""
    model = full_size.new_model(small).eval()
    set_labels(model.config, [f"answer {index}" for index in range(model.config.num_qa_labels)])
    return model


def prune_at_random(
    model: LxmertForQuestionAnswering, share: float, unstructured: float = 0.0
) -> Mask:
    """Zero all but a `share` of each sublayer's units, and `unstructured` of the other weights."""
    random = torch.Generator().manual_seed(0)
    weights = prunable_parameters(model)
    kept = {
        name: torch.rand(weight.shape, generator=random) >= unstructured
        for name, weight in weights.items()
    }
    for layer in sublayers(model):
        removed = torch.ones(layer.units, dtype=torch.bool)
        removed[torch.randperm(layer.units, generator=random)[: round(share * layer.units)]] = False
        rows = layer.spread(removed).nonzero().flatten()
        for name, dim in layer.weights.items():
            kept[name].index_fill_(dim, rows, False)
    mask = Mask(kept)
    mask.apply(weights)
    zero_biases(model, mask)
    return mask


def write_files(
    graphs: Graphs,
    model: LxmertForQuestionAnswering,
    mask: Mask | None,
    name: str,
    folder: Path,
) -> dict[str, Path]:
    """Write and check a model in each precision; return the files, by the names of the systems."""
    structure = None if mask is None else Structure.of(model, mask)
    graph = graphs.with_units(structure.counts if structure else {})
    answers, parameters = onnx_files.answer_metadata(model), dict(model.named_parameters())
    paths = {}
    for variant in VARIANTS.values():
        if variant.precision not in _PRECISIONS or variant.sparse != (mask is not None):
            continue
        system = f"{name} {variant.precision}"
        speed_report.status(f"writing {system}")
        path = folder / f"{system}.onnx"
        write_model(encode_model(graph, parameters, variant, answers, mask, structure), path)
        file = OnnxFile(path)
        check_structure(file, mask)
        check_weights(file, model)
        paths[system] = path
    return paths


def found_by_torch_pruning(small: bool, target: int, path: Path) -> dict[str, Any]:
    """Prune by torch-pruning and write `path`; return what it is, or why that is impossible."""
    speed_report.status("pruning by torch-pruning")
    try:
        model = torch_pruning_peer.pruned_model(small, target, TOKENS)
        torch_pruning_peer.export(model, path)
        _check_logits(model, path)
    except Exception as problem:  # of another library: that it fails is a result
        return {"error": one_line(f"{type(problem).__name__}: {problem}")}
    return {"multiply_adds": multiply_adds(model, TOKENS, full_size.REGIONS)}


def _check_logits(model: LxmertForQuestionAnswering, path: Path) -> None:
    """Raise ValueError unless the file answers as the model does."""
    batch = onnx_files.questions(model, 2)[0]
    expected = latency.pytorch_forward(model, "cpu")(batch)
    found = onnx_files.in_stock(folded_session(path, "cpu", 1))(batch)
    if not np.allclose(found, expected, atol=1e-3):
        raise ValueError(f"the exported logits differ by {np.abs(found - expected).max():.2g}")


def rows(
    systems: Mapping[str, Mapping[str, Any]], measured: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, str]]:
    """Return one line for each system and batch size."""
    lines = []
    for name, system in systems.items():
        if "error" in system:
            lines.append({"what": name, "text": system["error"]})
        lines += [
            {
                "what": f"batch {size}, {name}",
                "text": f"p50 {1000 * times[name]['p50']:.1f} ms, "
                f"{times[name]['times_faster_than_pytorch_eager']:.2f} times PyTorch eager",
            }
            for size, times in measured.items()
            if name in times
        ]
    return lines
