"""A fake Triton server: its protocol, configuration and batching rules, over ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import numpy as np
import tritonclient.grpc.model_config_pb2 as schema
import tritonclient.grpc.service_pb2 as messages
import tritonclient.grpc.service_pb2_grpc as service
from exported import stock
from google.protobuf import text_format
from tritonclient.utils import serialize_byte_tensor, triton_to_np_dtype

from exporters.records import ExportReport
from exporters.source import Source
from exporters.targets.triton.repository import write_triton

Arrays = dict[str, np.ndarray]
VARIANTS = ["sparse-fp32", "sparse-fp16", "sparse-int8"]


def write_models(
    run: Path, folder: Path, *variants: str, device: str = "cpu", name: str = "tiny"
) -> Path:
    """Write models of a run to a model repository; return the first one's folder."""
    source = Source.of(run, None, None)
    report = ExportReport.read(source.onnx)
    first, *_ = write_triton(source, report, variants, folder, device, name)
    return first


def read_config(model: Path) -> Any:
    """A model's configuration; text_format.ParseError for fields that are not in the schema."""
    text = (model / "config.pbtxt").read_text(encoding="utf-8")
    return text_format.Parse(text, schema.ModelConfig())


def read_labels(model: Path, name: str) -> list[str]:
    """The lines of a file, as C++'s std::getline splits them."""
    lines = (model / name).read_bytes().decode().split("\n")
    return lines[:-1] if lines[-1] == "" else lines


class Model:
    """A loaded model of a model repository."""

    def __init__(self, folder: Path) -> None:
        self.config = read_config(folder)
        self.session = stock(folder / "1" / "model.onnx")
        (output,) = self.config.output
        self.output, self.labels = output.name, read_labels(folder, output.label_filename)
        self.received: list[Arrays] = []

    def run(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.session.run([self.output], dict(inputs))[0]

    def join(self, *requests: Arrays) -> Arrays:
        """Batch several requests; fails if Triton's dynamic batcher would not."""
        batch = {}
        for tensor in self.config.input:
            arrays = [request[tensor.name] for request in requests]
            assert len({array.shape[1:] for array in arrays}) == 1, tensor.name
            batch[tensor.name] = np.concatenate(arrays)
            assert len(batch[tensor.name]) <= self.config.max_batch_size
        return batch

    def decode(self, request: Any) -> Arrays:
        """The arrays of a request; ValueError if Triton would reject it."""
        configured = {tensor.name: tensor for tensor in self.config.input}
        arrays = {}
        for tensor, content in zip(request.inputs, request.raw_input_contents, strict=True):
            expected = configured.pop(tensor.name)
            kind = schema.DataType.Name(expected.data_type).removeprefix("TYPE_")
            batch, *dims = tensor.shape
            fits = len(dims) == len(expected.dims) and all(
                size in (-1, dim) for size, dim in zip(expected.dims, dims, strict=True)
            )
            if kind != tensor.datatype or not fits or batch > self.config.max_batch_size:
                raise ValueError(f"{tensor.name}: {tensor.datatype} {list(tensor.shape)}")
            flat = np.frombuffer(content, triton_to_np_dtype(kind))
            arrays[tensor.name] = flat.reshape(tuple(tensor.shape))
        if configured:
            raise ValueError(f"no {', '.join(configured)}")
        return arrays

    def classify(self, logits: np.ndarray, count: int) -> np.ndarray:
        """The classification extension: the top `count` as bytes "value:index:label"."""
        rows = []
        for row in logits:
            best = np.argsort(-row, kind="stable")[:count]
            rows.append([":".join(self._fields(row, int(index))) for index in best])
        return np.array([[text.encode() for text in row] for row in rows], np.object_)

    def _fields(self, row: np.ndarray, index: int) -> list[str]:
        label = self.labels[index]
        return [f"{row[index]:.6f}", str(index), *([label] if label else [])]


class Server(service.GRPCInferenceServiceServicer):
    def __init__(self, repository: Path) -> None:
        self.models = {folder.name: Model(folder) for folder in repository.iterdir()}

    def ModelConfig(self, request: Any, context: Any) -> Any:
        return messages.ModelConfigResponse(config=self.models[request.name].config)

    def ModelInfer(self, request: Any, context: Any) -> Any:
        model = self.models[request.model_name]
        try:
            inputs = model.decode(request)
        except ValueError as problem:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(problem))
        model.received.append(inputs)
        (output,) = request.outputs
        count = output.parameters["classification"].int64_param
        classes = model.classify(model.run(inputs), count)
        response = messages.ModelInferResponse(model_name=request.model_name)
        response.outputs.add(name=output.name, datatype="BYTES", shape=classes.shape)
        response.raw_output_contents.append(serialize_byte_tensor(classes).item())
        return response


@contextmanager
def serve(repository: Path) -> Iterator[tuple[str, Server]]:
    """Serve a model repository while the block runs; yield the address and the server."""
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    models = Server(repository)
    service.add_GRPCInferenceServiceServicer_to_server(models, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", models
    finally:
        server.stop(None).wait()
