"""Where an export can go besides `onnx/`: the Hugging Face Hub, Triton."""
