"""The configuration of a model, read with Triton's own schema."""

import json
from pathlib import Path

import pytest
from exported import stock
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from triton_server import VARIANTS, read_config, schema, write_models

from exporters.graph.onnx_file import OnnxFile
from exporters.targets.triton.config import triton_config
from lxcompress.system.text import one_line

ORT_TYPES = {"tensor(int64)": schema.TYPE_INT64, "tensor(float)": schema.TYPE_FP32}


@pytest.mark.parametrize("variant", VARIANTS)
def test_tensors_are_those_of_the_onnx_file(repository: Path, variant: str) -> None:
    model = repository / f"tiny-{variant}"
    config, session = read_config(model), stock(model / "1" / "model.onnx")
    for tensors, values in (
        (config.input, session.get_inputs()),
        (config.output, session.get_outputs()),
    ):
        assert [tensor.name for tensor in tensors] == [value.name for value in values]
        for tensor, value in zip(tensors, values, strict=True):
            assert tensor.data_type == ORT_TYPES[value.type]
            batch, *dims = value.shape
            assert batch == "batch"  # first, in every tensor, and of any size
            assert list(tensor.dims) == [-1 if isinstance(dim, str) else dim for dim in dims]


def test_device_batching_and_parameters(
    repository: Path, tiny_exported: Path, tmp_path: Path
) -> None:
    config = read_config(repository / "tiny-sparse-int8")
    assert (config.name, config.platform) == ("tiny-sparse-int8", "onnxruntime_onnx")
    assert config.backend == "onnxruntime"
    assert config.max_batch_size == 8 and config.dynamic_batching.max_queue_delay_microseconds
    assert [(group.kind, group.count) for group in config.instance_group] == [
        (schema.ModelInstanceGroup.KIND_CPU, 1)
    ]
    assert config.version_policy.latest.num_versions == 1
    parameters = {key: value.string_value for key, value in config.parameters.items()}
    assert all(key.startswith("lxcompress.") for key in parameters)
    metadata = OnnxFile(tiny_exported / "onnx" / "model_sparse_int8.onnx").metadata
    assert parameters["lxcompress.version"] == metadata["lxcompress"]
    assert json.loads(parameters["lxcompress.sparsity"])["prunable"] == pytest.approx(0.5, abs=0.01)
    assert parameters["lxcompress.max_tokens"] == metadata["max_tokens"] == "20"
    assert (parameters["lxcompress.regions"], parameters["lxcompress.detector"]) == ("10", "pixel")
    on_gpu = read_config(write_models(tiny_exported, tmp_path, "sparse-fp16", device="cuda"))
    assert [group.kind for group in on_gpu.instance_group] == [schema.ModelInstanceGroup.KIND_GPU]


def test_the_schema_rejects_unknown_fields(repository: Path) -> None:
    text = (repository / "tiny-sparse-int8" / "config.pbtxt").read_text()
    for wrong in ("preferred_batch: 4", 'instance_group [ { kind: "GPU" } ]'):
        with pytest.raises(text_format.ParseError):
            text_format.Parse(f"{text}\n{wrong}", schema.ModelConfig())


@settings(max_examples=50, deadline=None)
@given(value=st.text() | st.text("\"\\\n#{}[]'\r\x00"))
def test_any_text_is_a_valid_parameter(value: str, tiny_exported: Path) -> None:
    file = OnnxFile(tiny_exported / "onnx" / "model_sparse.onnx", graph_only=True)
    parameters = {"version": "1", "variant": "sparse-fp32", "detector": value}
    config = text_format.Parse(triton_config(file, "name", "cpu", parameters), schema.ModelConfig())
    assert config.parameters["lxcompress.detector"].string_value == one_line(value)
    assert len(config.input) == 6 and len(config.parameters) == 3
