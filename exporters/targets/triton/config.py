"""Write a model's `ModelConfig` for Triton, in protobuf's text format.

Its schema: https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from onnx import TensorProto, ValueInfoProto

from exporters.graph.onnx_file import OnnxFile
from lxcompress.system.text import one_line

MARKER = "# Written by `lxcompress export --triton`"
LABELS = "labels.txt"
INSTANCE_KINDS = {"cuda": "KIND_GPU", "cpu": "KIND_CPU"}
_MAX_BATCH = {"cuda": 64, "cpu": 8}
_QUEUE_MICROSECONDS = 2000  # less than one answer of a full-size LXMERT takes
_TYPES: dict[int, str] = {TensorProto.INT64: "TYPE_INT64", TensorProto.FLOAT: "TYPE_FP32"}


def triton_config(file: OnnxFile, name: str, device: str, parameters: Mapping[str, str]) -> str:
    """The config.pbtxt of `file` as the model `name` on "cuda" or "cpu".

    `parameters` describe the file to clients and people. Their names get the prefix "lxcompress.",
    so that the backend does not take one for its own.
    """
    graph = file.model.graph
    (output,) = graph.output
    inputs = ",\n".join(f"  {{ {_tensor(value)} }}" for value in graph.input)
    described = "\n".join(
        _parameter(f"lxcompress.{key}", value) for key, value in parameters.items()
    )
    return f"""\
{MARKER}: {parameters["variant"]} of lxcompress {parameters["version"]}.
name: {_string(name)}
platform: "onnxruntime_onnx"
backend: "onnxruntime"
version_policy {{ latest {{ num_versions: 1 }} }}

# The first dimension of every tensor is the batch, which is left out below.
max_batch_size: {_MAX_BATCH[device]}
input [
{inputs}
]
output [
  {{ {_tensor(output)} label_filename: "{LABELS}" }}
]

# Only requests whose other dimensions are equal are batched: clients pad questions to
# lxcompress.max_tokens and pictures to lxcompress.regions. There is no preferred_batch_size, which
# Triton's guide recommends only for engines built for certain sizes.
dynamic_batching {{ max_queue_delay_microseconds: {_QUEUE_MICROSECONDS} }}

# Each instance decodes and holds its own weights. With KIND_GPU, `count` is for each GPU.
instance_group [ {{ kind: {INSTANCE_KINDS[device]} count: 1 }} ]

{described}
"""


def _tensor(value: ValueInfoProto) -> str:
    kind = value.type.tensor_type
    _, *dims = kind.shape.dim
    sizes = ", ".join(str(dim.dim_value or -1) for dim in dims)
    return f"name: {_string(value.name)} data_type: {_TYPES[kind.elem_type]} dims: [ {sizes} ]"


def _parameter(key: str, value: str) -> str:
    return f"parameters {{ key: {_string(key)} value {{ string_value: {_string(value)} }} }}"


def _string(value: str) -> str:
    """A string of protobuf's text format, which escapes printable text as JSON does."""
    return json.dumps(one_line(value), ensure_ascii=False)
