"""lxcompress: lottery tickets of LXMERT for visual question answering (arXiv 2310.15325)."""

import os

__version__ = "0.1.0"

# Before ONNX Runtime is imported: its official builds else tell Microsoft of their use.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Before PyTorch is imported: its OpenMP threads else spin for a millisecond while they wait, and
# take the core of the thread that they wait for when another process needs one too.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
