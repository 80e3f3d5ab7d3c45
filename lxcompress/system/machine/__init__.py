"""What this machine has: devices, threads, ONNX Runtime's providers, and its description."""
