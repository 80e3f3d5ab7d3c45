"""What Triton is told of an exported file: its `ModelConfig`, as text.

The schema is https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from onnx import TensorProto, ValueInfoProto

from exporters.graph.onnx_file import OnnxFile
from lxcompress.system.text import one_line

MARK = "# Written by `lxcompress export --triton`"
LABELS = "labels.txt"
KINDS = {"cuda": "KIND_GPU", "cpu": "KIND_CPU"}
MAX_BATCH = {"cuda": 64, "cpu": 8}
_QUEUE_MICROSECONDS = 2000  # less than one answer of a full-size LXMERT takes
_TYPES: dict[int, str] = {TensorProto.INT64: "TYPE_INT64", TensorProto.FLOAT: "TYPE_FP32"}


def triton_config(file: OnnxFile, name: str, device: str, parameters: Mapping[str, str]) -> str:
    """The config.pbtxt of `file` as the model `name` on "cuda" or "cpu".

    `parameters` tell clients and people of the file; they are prefixed with "lxcompress.", so that
    the backend takes none for its own.
    """
    graph = file.model.graph
    (output,) = graph.output
    inputs = ",\n".join(f"  {{ {_tensor(value)} }}" for value in graph.input)
    told = "\n".join(_parameter(f"lxcompress.{key}", value) for key, value in parameters.items())
    return f"""\
{MARK}: {parameters["variant"]} of lxcompress {parameters["version"]}.
name: {_text(name)}
platform: "onnxruntime_onnx"
backend: "onnxruntime"
version_policy {{ latest {{ num_versions: 1 }} }}

# The batch is the first dimension of every tensor, and is not told below.
max_batch_size: {MAX_BATCH[device]}
input [
{inputs}
]
output [
  {{ {_tensor(output)} label_filename: "{LABELS}" }}
]

# Only requests whose other dimensions are equal are joined: clients pad questions to
# lxcompress.max_tokens and pictures to lxcompress.regions. There is no preferred_batch_size:
# Triton's guide keeps it for engines that were built for certain sizes.
dynamic_batching {{ max_queue_delay_microseconds: {_QUEUE_MICROSECONDS} }}

# Each instance decodes and holds the weights for itself; with KIND_GPU, `count` is for each GPU.
instance_group [ {{ kind: {KINDS[device]} count: 1 }} ]

{told}
"""


def _tensor(value: ValueInfoProto) -> str:
    kind = value.type.tensor_type
    _, *dims = kind.shape.dim
    sizes = ", ".join(str(dim.dim_value or -1) for dim in dims)
    return f"name: {_text(value.name)} data_type: {_TYPES[kind.elem_type]} dims: [ {sizes} ]"


def _parameter(key: str, value: str) -> str:
    return f"parameters {{ key: {_text(key)} value {{ string_value: {_text(value)} }} }}"


def _text(value: str) -> str:
    """A string of protobuf's text format, whose escapes are those of JSON for what is printable."""
    return json.dumps(one_line(value), ensure_ascii=False)
