"""The size, loading time and latency of the exported files of a full-size LXMERT.

    python -m benchmarks.readme.onnx_files --output benchmarks/results/onnx_files.json

The weights are random, half of the prunable ones pruned by magnitude; the vocabulary has BERT's
size, the answer list VQA v2's. All systems answer the same questions in turn. A sparse file is
compared with the dense file of the same precision, so that the effect of precision is not
attributed to sparsity.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from transformers import BertTokenizer, LxmertForQuestionAnswering

from benchmarks.measure import latency, loading
from benchmarks.measure.latency import Forward, Inputs
from benchmarks.measure.loading import LOADERS, Case
from benchmarks.measure.statistics import median_ratio
from benchmarks.readme import full_size, speed_report
from benchmarks.report.records import Samples
from exporters.encodings.encode_model import encode_model
from exporters.encodings.size_formula import expected_bytes
from exporters.graph.interface import OUTPUT
from exporters.graph.metadata import AnswerMetadata
from exporters.graph.onnx_file import OnnxFile, write_model
from exporters.graph.trace import build_graph
from exporters.runtime import OnnxVqaModel
from exporters.runtime.session import folded_session
from exporters.variants import VARIANTS
from exporters.verify.structure import check_structure
from exporters.verify.weights import check_weights
from lxcompress.data.batches import model_arrays
from lxcompress.model.answer_head import labels_of, set_labels
from lxcompress.model.prunable import prunable_parameters
from lxcompress.pruning.magnitude import magnitude_mask
from lxcompress.pruning.mask import Mask
from lxcompress.system.timing import time_in_rounds

MODULE = "benchmarks.readme.onnx_files"
SPARSITY = 0.5
BATCH_SIZES = {"cpu": (1, 8), "cuda": (1, 8, 32, 128)}
_DIFFERENT_BATCHES = 16
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def main(arguments: list[str] | None = None) -> None:
    parser = speed_report.options(MODULE, __doc__)
    parser.add_argument("--device", choices=sorted(BATCH_SIZES), default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true", help="measure torch.compile too")
    parser.add_argument("--repeats", type=int, default=5, help="processes for each way to load")
    parser.add_argument("--runs", type=int, default=30, help="minimum number for each system")
    parser.add_argument("--seconds", type=float, default=60, help="minimum for each batch size")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    model, mask = sparse_model(given.small)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = write_files(model, mask, folder)
        loaded = load_files(folder, given.device, given.repeats)
        systems = all_systems(model, folder, given.device, given.compile, given.threads)
        answers = compare_answers(model, systems)
        measured = {
            str(size): time_answers(model, systems, size, given.runs, given.seconds)
            for size in BATCH_SIZES[given.device]
        }
    speed_report.publish(
        MODULE,
        given,
        rows(files, loaded, answers, measured),
        sparsity=SPARSITY,
        questions=full_size.QUESTION_LENGTHS,
        files=files,
        loading=loaded,
        answers=answers,
        latency=measured,
    )


def sparse_model(
    small: bool, layers: Mapping[str, int] | None = None
) -> tuple[LxmertForQuestionAnswering, Mask]:
    """Return a model with random weights under a mask of `SPARSITY`; see `full_size.new_model`."""
    model = full_size.new_model(small, layers=layers).eval()
    set_labels(model.config, [f"answer {index}" for index in range(model.config.num_qa_labels)])
    weights = prunable_parameters(model)
    mask = magnitude_mask({name: weight.detach() for name, weight in weights.items()}, SPARSITY)
    mask.apply(weights)
    return model, mask


def write_files(
    model: LxmertForQuestionAnswering, mask: Mask, folder: Path
) -> dict[str, dict[str, Any]]:
    """Write and check each variant of the same weights; return its bytes and expected bytes."""
    answers = answer_metadata(model)
    graph, parameters = build_graph(model.config), dict(model.named_parameters())
    files = {}
    for variant in VARIANTS.values():
        speed_report.status(f"writing {variant.file}")
        path = folder / variant.file
        write_model(encode_model(graph, parameters, variant, answers, mask), path)
        file = OnnxFile(path)
        files[variant.file] = {
            "unit": "bytes",
            **check_structure(file, mask if variant.sparse else None).model_dump(),
            **check_weights(file, model).model_dump(),
            "formula": expected_bytes(graph, variant, mask).model_dump(),
        }
    return files


def answer_metadata(model: LxmertForQuestionAnswering) -> AnswerMetadata:
    """Return the answers of a model with labels, and a tokenizer of its vocabulary's size."""
    words = [f"word{index}" for index in range(model.config.vocab_size - len(_SPECIAL))]
    vocabulary = {word: index for index, word in enumerate([*_SPECIAL, *words])}
    tokenizer = BertTokenizer(vocab=vocabulary)
    return AnswerMetadata.of(labels_of(model.config), tokenizer, full_size.MAX_TOKENS)


def load_files(folder: Path, device: str, repeats: int) -> dict[str, dict[str, Any]]:
    """Load each file with stock ONNX Runtime, and the sparse ones also with our decoder."""
    speed_report.status("loading, each time in a new process")
    cases: list[Case] = [
        (loader, folder / variant.file)
        for loader in LOADERS
        for variant in VARIANTS.values()
        if loader == "stock" or variant.sparse
    ]
    measured = loading.load_in_rounds(cases, device, repeats)
    return {
        f"{loader} {path.name}": {
            name: Samples.of(unit, [getattr(load, name) for load in loads]).model_dump()
            for name, unit in loading.UNITS.items()
        }
        for (loader, path), loads in measured.items()
    }


def all_systems(
    model: LxmertForQuestionAnswering, folder: Path, device: str, compiled: bool, threads: int
) -> dict[str, Forward]:
    """Return all systems to be compared: PyTorch, and each file loaded as in `load_files`."""
    stock = LxmertForQuestionAnswering(model.config).eval()
    stock.load_state_dict(model.state_dict())
    precision = torch.float16 if device == "cuda" else torch.float32
    systems = {"PyTorch eager": latency.pytorch_forward(stock.to(device, precision), device)}
    if compiled:
        compiled_model = torch.compile(stock, dynamic=True)
        systems["PyTorch compiled"] = latency.pytorch_forward(compiled_model, device)
    for variant in VARIANTS.values():
        path = folder / variant.file
        speed_report.status(f"loading {path.name}")
        if device == "cpu" or variant.precision != "int8":
            systems[f"stock {path.name}"] = in_stock(folded_session(path, device, threads))
        if variant.sparse:
            systems[f"runtime {path.name}"] = OnnxVqaModel(path, device, threads=threads).logits
    return systems


def in_stock(session: onnxruntime.InferenceSession) -> Forward:
    """Return the forward pass of a session."""
    return lambda inputs: session.run([OUTPUT], dict(inputs))[0]


def questions(model: LxmertForQuestionAnswering, batch_size: int) -> list[Inputs]:
    """Return the batches that all systems answer."""
    source = full_size.batches(model.config, batch_size)
    return [model_arrays(next(source)) for _ in range(_DIFFERENT_BATCHES)]


def compare_answers(
    model: LxmertForQuestionAnswering, systems: Mapping[str, Forward]
) -> dict[str, dict[str, Any]]:
    """Compare the logits of every system with PyTorch's, and of sparse files with dense ones."""
    batches = questions(model, 8)
    logits = {
        name: np.concatenate([system(batch) for batch in batches])
        for name, system in systems.items()
    }
    expected = logits["PyTorch eager"]
    compared: dict[str, dict[str, Any]] = {}
    for name, given in logits.items():
        dense = name.replace("runtime ", "stock ").replace("_sparse", "")
        compared[name] = {
            "relative_logit_difference": float(
                np.sqrt(np.square(given - expected).mean()) / expected.std(axis=1).mean()
            ),
            "same_answers": float((given.argmax(axis=1) == expected.argmax(axis=1)).mean()),
        }
        if "sparse" in name and dense in logits:
            compared[name]["bit_equal_to_dense_file"] = bool(np.array_equal(given, logits[dense]))
    return compared


def time_answers(
    model: LxmertForQuestionAnswering,
    systems: Mapping[str, Forward],
    batch_size: int,
    runs: int,
    seconds: float,
) -> dict[str, dict[str, Any]]:
    """Time each system from arrays to logits, on the same batches in turn."""
    speed_report.status(f"latency of {len(systems)} systems, batch {batch_size}")
    batches = questions(model, batch_size)

    samples = time_in_rounds(
        {name: latency.over_batches(batches, system) for name, system in systems.items()},
        rounds=runs,
        seconds=seconds,
    )
    slow = samples["PyTorch eager"]
    return {
        name: {
            "unit": "seconds",
            **latency.percentiles(taken),
            "samples": taken,
            "times_faster_than_pytorch_eager": median_ratio(slow, taken).estimate,
        }
        for name, taken in samples.items()
    }


def rows(
    files: Mapping[str, dict[str, Any]],
    loaded: Mapping[str, dict[str, Any]],
    answers: Mapping[str, dict[str, Any]],
    measured: Mapping[str, dict[str, Any]],
) -> list[dict[str, str]]:
    """Return the lines of the report: sizes, loading, answers, latency."""
    full = files["model.onnx"]["bytes"]
    lines = []
    for name, record in files.items():
        size, weights = record["bytes"], record["formula"]
        bound = f", {size / weights['entropy_bound'] - 1:+.2%} above the entropy bound"
        lines.append(
            {
                "what": name,
                "text": f"{size / 1e6:.1f} MB, {size / full:.1%} of dense fp32, "
                f"{size / weights['total'] - 1:+.2%} above the formula"
                f"{bound if weights['mask'] else ''}",
            }
        )
    for name, record in loaded.items():
        lines.append(
            {
                "what": f"loading, {name}",
                "text": f"{record['seconds']['median']:.2f} s, peak "
                f"{record['peak_bytes']['median'] / 1e6:,.0f} MB, kept "
                f"{record['kept_bytes']['median'] / 1e6:,.0f} MB",
            }
        )
    for name, record in answers.items():
        equal = record.get("bit_equal_to_dense_file")
        lines.append(
            {
                "what": f"answers, {name}",
                "text": f"logits differ by {record['relative_logit_difference']:.2g} of their "
                f"spread, {record['same_answers']:.1%} equal answers"
                + ("" if equal is None else f", bit-equal to the dense file: {equal}"),
            }
        )
    for size, systems in measured.items():
        for name, record in systems.items():
            lines.append(
                {
                    "what": f"batch {size}, {name}",
                    "text": f"p50 {1000 * record['p50']:.1f} ms, p90 {1000 * record['p90']:.1f} ms"
                    f" ({record['times_faster_than_pytorch_eager']:.2f} times PyTorch eager)",
                }
            )
    return lines


if __name__ == "__main__":
    main()
