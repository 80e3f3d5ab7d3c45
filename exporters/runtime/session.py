"""ONNX Runtime sessions on a device that is really used."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnxruntime

from exporters.encodings.registry import ENCODINGS
from exporters.graph.onnx_file import OnnxFile, data_file
from lxcompress.errors import DeviceError, ModelError
from lxcompress.system.machine.onnx_providers import why_unusable
from lxcompress.system.machine.onnx_session import session_options
from lxcompress.system.machine.threads import threads_for
from lxcompress.system.text import first_line

_BYTES_PER_PARAMETER = 4  # of a file whose precision is not known yet
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def check_device(device: str) -> None:
    """Raise DeviceError, with the reason, unless ONNX Runtime can use the device here."""
    if device not in PROVIDERS:
        raise DeviceError(f"--device {device}: ONNX files run on {' or '.join(PROVIDERS)}")
    why = why_unusable(PROVIDERS[device])
    if why:
        raise DeviceError(
            f"--device {device}: ONNX Runtime cannot use it here: {why}; see `lxcompress doctor`"
        )


def open_session(
    path: Path,
    device: str,
    *,
    threads: int | None = None,
    optimized: Path | None = None,
    origin: Path | None = None,
) -> onnxruntime.InferenceSession:
    """Load a file in ONNX Runtime, on "cpu" or "cuda".

    threads: of the CPU; None for one if the file is small, else all cores.
    optimized: where ONNX Runtime writes the graph after its optimisations.
    origin: what error messages call the file, if not `path`.

    Raises:
        ModelError: ONNX Runtime cannot load the file.
        DeviceError: it would not run on `device`.
    """
    if threads is None:
        bytes_ = sum(file.stat().st_size for file in (path, data_file(path)) if file.exists())
        threads = threads_for(bytes_ // _BYTES_PER_PARAMETER)
    options = session_options(threads or 0)
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    # The CUDA provider itself leaves the arithmetic of shapes to the CPU.
    providers = [PROVIDERS[device], *([PROVIDERS["cpu"]] if device != "cpu" else [])]
    try:
        # Without enable_fallback=0 it would continue without the provider, now or during a run.
        session = onnxruntime.InferenceSession(
            str(path), options, providers=providers, enable_fallback=0
        )
    except Exception as problem:  # ONNX Runtime's exceptions have no base class of their own
        first = first_line(problem)
        raise ModelError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load {origin or path}: {first}"
        ) from problem
    if session.get_providers()[0] != PROVIDERS[device]:
        raise DeviceError(f"--device {device}: ONNX Runtime fell back to {session.get_providers()}")
    return session


def stock_session(
    path: Path, device: str = "cpu", *, threads: int | None = None, optimized: Path | None = None
) -> onnxruntime.InferenceSession:
    """Load an exported file as it is, without our decoder. Arguments and errors: `open_session`."""
    check_device(device)
    return open_session(path, device, threads=threads, optimized=optimized)


def folded_session(
    path: Path, device: str, threads: int | None = None
) -> onnxruntime.InferenceSession:
    """Return `stock_session` if ONNX Runtime decoded the weights while it loaded the file.

    Raises:
        ModelError: it would decode weights in every run.
    """
    with tempfile.TemporaryDirectory(prefix="lxcompress-", ignore_cleanup_errors=True) as folder:
        optimized = Path(folder) / "optimized.onnx"
        session = stock_session(path, device, threads=threads, optimized=optimized)
        # Its external data, if any, lie beside `path`.
        graph = OnnxFile(optimized, graph_only=True).model.graph
    decoding = frozenset[str]().union(*(encoding.OPERATORS for encoding in ENCODINGS))
    left = {node.op_type for node in graph.node} & decoding
    if left:
        raise ModelError(
            f"ONNX Runtime {onnxruntime.__version__} does not decode {path.name} while it loads "
            f"it ({', '.join(sorted(left))} remain); use another version"
        )
    return session
