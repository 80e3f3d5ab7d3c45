"""How fast models are in ONNX Runtime on this machine."""
