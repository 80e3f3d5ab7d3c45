"""LXMERT's computation as an ONNX graph, and the files that hold it."""
