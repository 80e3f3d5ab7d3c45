"""Each variant as a model: PyTorch's answers, and no weight left out that is not zero."""

import hashlib
import json
from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from exported import (
    CONFIGS,
    FILES,
    Arrays,
    in_onnx,
    in_pytorch,
    in_reference_evaluator,
    noisy_model,
    same_bits,
    some_inputs,
    some_mask,
)
from onnx import ModelProto, numpy_helper
from transformers import LxmertForQuestionAnswering

import lxcompress
from exporters.encodings.encode_model import encode_model
from exporters.graph.metadata import AnswerMetadata
from exporters.graph.trace import Graph, build_graph
from exporters.variants import VARIANTS
from lxcompress.errors import ModelError
from lxcompress.model.prunable import prunable_parameters
from lxcompress.pruning.mask import Mask

CONFIG = CONFIGS["deep"]
ANSWERS = AnswerMetadata(["ja", "nein", 'ä"\n', "", "5"], '{"version": "1.0"}', 17)
# Root mean square of the difference, in standard deviations of the logits.
CLOSE = {"fp32": 1e-6, "fp16": 5e-3, "int8": 0.1}
MATRIX = "lxmert.encoder.layer.0.attention.self.query.weight"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return build_graph(CONFIG)


@pytest.fixture(scope="module")
def mask() -> Mask:
    return some_mask(noisy_model(CONFIG))


@pytest.fixture(scope="module")
def ticket(mask: Mask) -> LxmertForQuestionAnswering:
    """Hugging Face's own model, with the pruned weights at zero."""
    model = noisy_model(CONFIG)
    mask.apply(prunable_parameters(model))
    return model


@pytest.fixture(scope="module")
def inputs() -> Arrays:
    return some_inputs(CONFIG, 6, 9, 7)


Make = Callable[[str], ModelProto]


@pytest.fixture(scope="module")
def make(graph: Graph, mask: Mask, ticket: LxmertForQuestionAnswering) -> Make:
    parameters = dict(ticket.named_parameters())
    return lambda name: encode_model(graph, parameters, VARIANTS[name], ANSWERS, mask)


def arrays_of(model: ModelProto) -> Arrays:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


# -- Answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIANTS)
def test_answers_as_pytorch(
    name: str, make: Make, ticket: LxmertForQuestionAnswering, inputs: Arrays
) -> None:
    model, expected = make(name), in_pytorch(ticket, inputs)
    onnx.checker.check_model(model, full_check=True)
    for run in (in_onnx, in_reference_evaluator):
        found = run(model, inputs)
        assert found.dtype == np.float32
        off = np.sqrt(np.square(found - expected).mean()) / expected.std()
        assert off < CLOSE[VARIANTS[name].precision]
    # Otherwise a model without one of the weights could pass.
    assert expected.std() > 0.1 and (np.ptp(expected, axis=0) > 0.1).all()


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_sparse_and_dense_logits_are_equal_to_the_bit(
    precision: str, make: Make, inputs: Arrays
) -> None:
    dense, sparse = make(precision), make(f"sparse-{precision}")
    assert same_bits(in_onnx(sparse, inputs), in_onnx(dense, inputs))


# -- Form -------------------------------------------------------------------------------------


def test_names_of_files() -> None:
    assert {name: variant.file for name, variant in VARIANTS.items()} == FILES


@pytest.mark.parametrize("name", VARIANTS)
def test_metadata(name: str, make: Make, mask: Mask, ticket: LxmertForQuestionAnswering) -> None:
    model = make(name)
    found = {item.key: item.value for item in model.metadata_props}
    total = hashlib.sha256()
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        total.update(f"{tensor.name} {array.dtype} {array.shape}\n".encode() + array.tobytes())
    bare = ModelProto()
    bare.CopyFrom(model)
    for field in ("ir_version", "producer_name", "producer_version"):
        bare.ClearField(field)
    bare.graph.ClearField("name")
    bare.graph.ClearField("doc_string")
    bare.graph.ClearField("initializer")
    bare.metadata_props.remove(bare.metadata_props[-1])
    text = bare.SerializeToString(deterministic=True) + total.hexdigest().encode()
    sparsity = None
    if name.startswith("sparse-"):
        zeros = sum(int((~keep).sum()) for _, keep in mask.items())
        prunable = sum(keep.numel() for _, keep in mask.items())
        parameters = sum(parameter.numel() for parameter in ticket.parameters())
        sparsity = {"prunable": zeros / prunable, "model": zeros / parameters}
    assert json.loads(found.pop("sparsity")) == sparsity
    assert json.loads(found.pop("labels")) == ["ja", "nein", 'ä"\n', "", "5"]
    assert found == {
        "lxcompress": lxcompress.__version__,
        "variant": name,
        "precision": name.removeprefix("sparse-"),
        "encoding": "bitmask" if name.startswith("sparse-") else "dense",
        "structure": "{}",
        "pattern": "unstructured" if name.startswith("sparse-") else "dense",
        "tokenizer": '{"version": "1.0"}',
        "max_tokens": "17",
        "sha256": hashlib.sha256(text).hexdigest(),
    }
    assert (model.producer_name, model.producer_version) == ("lxcompress", lxcompress.__version__)
    # Our domain only where it is used.
    ours = {"lxcompress"} if name not in ("fp32", "fp16") else set()
    assert {opset.domain for opset in model.opset_import} == {""} | ours
    functions = {function.name for function in model.functions}
    called = {node.op_type for node in model.graph.node if node.domain}
    assert functions == called
    assert called == {
        *(["BitmaskDecode"] if name.startswith("sparse") else []),
        *(["QuantizedMatMul", "QuantizedGather"] if name.endswith("int8") else []),
    }


def test_the_graph_is_not_changed(graph: Graph, make: Make) -> None:
    before = graph.model.SerializeToString()
    for name in VARIANTS:
        make(name)
    assert graph.model.SerializeToString() == before


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_tensors_of_a_pruned_weight(
    precision: str, make: Make, mask: Mask, ticket: LxmertForQuestionAnswering
) -> None:
    dense, sparse = arrays_of(make(precision)), arrays_of(make(f"sparse-{precision}"))
    for name, keep in mask.items():
        if keep.all():
            assert same_bits(sparse[name], dense[name])  # bits would only make it larger
            continue
        flags = keep.numpy().T  # as MatMul reads the weight
        expected = np.packbits(flags.reshape(-1), bitorder="little")
        assert np.array_equal(sparse.pop(f"{name}.mask"), expected)
        assert same_bits(sparse.pop(f"{name}.values"), dense.pop(name)[flags][None])
    assert sparse.pop("lxcompress.bits_of_byte").shape == (256, 8)
    # Everything else is stored as in the dense file.
    assert sparse.keys() == dense.keys()
    assert all(same_bits(sparse[name], dense[name]) for name in dense)


def test_a_mask_does_not_change_a_dense_variant(
    graph: Graph, make: Make, ticket: LxmertForQuestionAnswering
) -> None:
    parameters = dict(ticket.named_parameters())
    for precision in ("fp32", "fp16", "int8"):
        assert encode_model(graph, parameters, VARIANTS[precision], ANSWERS) == make(precision)


# -- Errors --------------------------------------------------------------------------


def with_value(
    model: LxmertForQuestionAnswering, index: tuple[int, int], value: float
) -> dict[str, torch.Tensor]:
    parameters: dict[str, torch.Tensor] = dict(model.named_parameters())
    parameters[MATRIX] = parameters[MATRIX].detach().clone()
    parameters[MATRIX][index] = value
    return parameters


def test_sparse_needs_a_mask(graph: Graph, ticket: LxmertForQuestionAnswering) -> None:
    with pytest.raises(ValueError, match="sparse-fp16 needs a mask"):
        encode_model(graph, dict(ticket.named_parameters()), VARIANTS["sparse-fp16"], ANSWERS)


@pytest.mark.parametrize("value", [1e-45, -0.0, float("nan"), 1.0])
@pytest.mark.parametrize("name", ["sparse-fp32", "sparse-fp16", "sparse-int8"])
def test_a_pruned_weight_that_is_not_zero(
    name: str, value: float, graph: Graph, mask: Mask, ticket: LxmertForQuestionAnswering
) -> None:
    row, column = (~mask[MATRIX]).nonzero()[0].tolist()
    parameters = with_value(ticket, (row, column), value)
    with pytest.raises(ModelError, match=f"1 pruned weights of {MATRIX} are not zero"):
        encode_model(graph, parameters, VARIANTS[name], ANSWERS, mask)


@pytest.mark.parametrize("value", [65504.1, 65520.0, -1e30, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["fp16", "sparse-fp16"])
def test_a_weight_that_float16_does_not_hold(
    name: str, value: float, graph: Graph, ticket: LxmertForQuestionAnswering, mask: Mask
) -> None:
    some = Mask({n: torch.ones_like(keep) for n, keep in mask.items()})
    with pytest.raises(ModelError, match=f"{MATRIX} has a weight of .*too large for fp16"):
        encode_model(graph, with_value(ticket, (0, 0), value), VARIANTS[name], ANSWERS, some)


def test_the_largest_float16(graph: Graph, ticket: LxmertForQuestionAnswering) -> None:
    model = encode_model(graph, with_value(ticket, (2, 1), -65504.0), VARIANTS["fp16"], ANSWERS)
    assert arrays_of(model)[MATRIX][1, 2] == -65504


def test_a_weight_of_another_shape(graph: Graph, ticket: LxmertForQuestionAnswering) -> None:
    parameters: dict[str, torch.Tensor] = dict(ticket.named_parameters())
    parameters[MATRIX] = parameters[MATRIX][:-1]
    with pytest.raises(ModelError, match=rf"{MATRIX} is \(32, 31\), the graph's \(32, 32\)"):
        encode_model(graph, parameters, VARIANTS["fp32"], ANSWERS)
