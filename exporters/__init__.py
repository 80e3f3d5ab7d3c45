"""ONNX files of LXMERT: graph, encodings, verification, and a runtime that reads them fast."""
