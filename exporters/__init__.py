"""ONNX files of LXMERT: graph, encodings, verification, and a runtime that loads them fast."""

import lxcompress  # noqa: F401 - switches off the telemetry of ONNX Runtime before its import
