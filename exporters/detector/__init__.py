"""The bottom-up-attention detector as an ONNX file."""
