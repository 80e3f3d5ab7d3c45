"""Exported files in onnxruntime-web, the ONNX Runtime of browsers, run by Node.js."""
