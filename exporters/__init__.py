"""ONNX files of LXMERT: graph, encodings, verification, and a runtime that reads them fast."""

import lxcompress  # noqa: F401 - before ONNX Runtime, whose telemetry it switches off
