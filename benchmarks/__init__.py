"""Measurements of size, latency and accuracy."""

import lxcompress  # noqa: F401 - before ONNX Runtime, whose telemetry it switches off
