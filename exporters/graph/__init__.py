"""LXMERT as an ONNX graph, its metadata, and ONNX files."""
