"""Sizes of other formats against scipy and zlib, and the part of the model of each weight."""

import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy import sparse

from benchmarks.bench.sizes import csr_bytes, other_formats, part_of_model
from lxcompress.errors import ModelError
from lxcompress.model.lxmert import load_model
from lxcompress.model.prunable import prunable_parameters
from lxcompress.pruning.mask import Mask
from lxcompress.pruning.ticket_size import ticket_sizes
from lxcompress.run import Run


def in_scipy(weight: np.ndarray) -> int:
    found = sparse.csr_array(weight)
    assert found.indices.dtype == found.indptr.dtype == np.int32
    return found.data.nbytes + found.indices.nbytes + found.indptr.nbytes


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (64, 96), (1, 50), (50, 1)])
@pytest.mark.parametrize("sparsity", [0, 0.5, 0.95, 1])
def test_csr_is_scipys(shape: tuple[int, int], sparsity: float) -> None:
    random = np.random.default_rng(0)
    weight = random.standard_normal(shape).astype(np.float32)
    weight[random.random(shape) < sparsity] = 0
    assert csr_bytes(shape[0], int(np.count_nonzero(weight))) == in_scipy(weight)


def test_other_formats(tiny_exported: Path) -> None:
    run = Run(tiny_exported)
    found = {other.name: other.bytes for other in other_formats(run.dense, run.ticket)}
    for name, folder in (("dense model", run.dense), ("ticket", run.ticket)):
        content = (folder / "model.safetensors").read_bytes()
        assert found[f"{name}, safetensors"] == len(content)
        assert found[f"{name}, safetensors zipped"] == len(zlib.compress(content, 6))
    model = load_model(run.ticket)
    prunable = prunable_parameters(model)
    weights = load_file(run.ticket / "model.safetensors")
    expected = sum(
        in_scipy(weight) if name in prunable else weight.nbytes for name, weight in weights.items()
    )
    assert found["ticket, CSR"] == expected
    sizes = ticket_sizes(model, Mask.load(run.mask, prunable))
    assert found["ticket, bitmask"] == sizes["bitmask"]


def test_no_weights(tiny_exported: Path, tmp_path: Path) -> None:
    run = Run(shutil.copytree(tiny_exported, tmp_path / "run"))
    (run.dense / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no safetensors"):
        other_formats(run.dense, run.ticket)


def test_a_dense_model_alone_as_published(tmp_path: Path) -> None:
    """It has pickled weights, and no ticket to encode."""
    (tmp_path / "pytorch_model.bin").write_bytes(b"weights" * 99)
    found = {other.name: other.bytes for other in other_formats(tmp_path, None)}
    assert found == {
        "dense model, pytorch_model.bin": 7 * 99,
        "dense model, pytorch_model.bin zipped": len(zlib.compress(b"weights" * 99, 6)),
    }


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("lxmert.embeddings.word_embeddings.weight", "embeddings"),
        ("lxmert.encoder.visn_fc.box_fc.weight", "embeddings"),
        ("lxmert.encoder.layer.0.attention.self.query.weight", "language"),
        ("lxmert.encoder.r_layers.0.output.LayerNorm.bias", "vision"),
        ("lxmert.encoder.x_layers.1.visual_attention.att.key.weight", "cross-modality"),
        ("lxmert.pooler.dense.weight", "cross-modality"),
        ("answer_head.logit_fc.0.weight", "head"),
        ("answer_head.logit_fc.3.bias", "head"),
    ],
)
def test_parts(name: str, part: str) -> None:
    assert part_of_model(name) == part
