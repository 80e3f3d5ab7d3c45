"""A stand-in for Triton: its wire protocol, its configuration and its rules, over ONNX Runtime."""

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

Arrays = dict[str, np.ndarray]


def read_config(model: Path) -> Any:
    """The model's configuration; text_format.ParseError for what the schema does not know."""
    text = (model / "config.pbtxt").read_text(encoding="utf-8")
    return text_format.Parse(text, schema.ModelConfig())


def read_labels(model: Path, name: str) -> list[str]:
    """As C++'s std::getline takes a file apart."""
    lines = (model / name).read_bytes().decode().split("\n")
    return lines[:-1] if lines[-1] == "" else lines


class Model:
    """A folder of a model repository, loaded."""

    def __init__(self, folder: Path) -> None:
        self.config = read_config(folder)
        self.session = stock(folder / "1" / "model.onnx")
        (output,) = self.config.output
        self.output, self.labels = output.name, read_labels(folder, output.label_filename)
        self.received: list[Arrays] = []

    def run(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.session.run([self.output], dict(inputs))[0]

    def join(self, *requests: Arrays) -> Arrays:
        """One batch of several requests, if the dynamic batcher would make one of them."""
        batch = {}
        for tensor in self.config.input:
            arrays = [request[tensor.name] for request in requests]
            assert len({array.shape[1:] for array in arrays}) == 1, tensor.name
            batch[tensor.name] = np.concatenate(arrays)
            assert len(batch[tensor.name]) <= self.config.max_batch_size
        return batch

    def decode(self, request: Any) -> Arrays:
        """The arrays of a request; ValueError for what Triton would not take."""
        configured = {tensor.name: tensor for tensor in self.config.input}
        arrays = {}
        for tensor, content in zip(request.inputs, request.raw_input_contents, strict=True):
            wanted = configured.pop(tensor.name)
            kind = schema.DataType.Name(wanted.data_type).removeprefix("TYPE_")
            batch, *dims = tensor.shape
            fits = len(dims) == len(wanted.dims) and all(
                want in (-1, found) for want, found in zip(wanted.dims, dims, strict=True)
            )
            if kind != tensor.datatype or not fits or batch > self.config.max_batch_size:
                raise ValueError(f"{tensor.name}: {tensor.datatype} {list(tensor.shape)}")
            flat = np.frombuffer(content, triton_to_np_dtype(kind))
            arrays[tensor.name] = flat.reshape(tuple(tensor.shape))
        if configured:
            raise ValueError(f"no {', '.join(configured)}")
        return arrays

    def classify(self, logits: np.ndarray, count: int) -> np.ndarray:
        """The classification extension: "value:index:label" of the largest, as bytes."""
        rows = []
        for row in logits:
            best = np.argsort(-row, kind="stable")[:count]
            rows.append([":".join(self._words(row, int(index))) for index in best])
        return np.array([[text.encode() for text in row] for row in rows], np.object_)

    def _words(self, row: np.ndarray, index: int) -> list[str]:
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
        (wanted,) = request.outputs
        count = wanted.parameters["classification"].int64_param
        found = model.classify(model.run(inputs), count)
        response = messages.ModelInferResponse(model_name=request.model_name)
        response.outputs.add(name=wanted.name, datatype="BYTES", shape=found.shape)
        response.raw_output_contents.append(serialize_byte_tensor(found).item())
        return response


@contextmanager
def serve(repository: Path) -> Iterator[tuple[str, Server]]:
    """Its address on this machine, and the server, while the block runs."""
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    models = Server(repository)
    service.add_GRPCInferenceServiceServicer_to_server(models, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", models
    finally:
        server.stop(None).wait()
