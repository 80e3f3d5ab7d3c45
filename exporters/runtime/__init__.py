"""Run exported files; the public surface of the package `exporters`."""

from exporters.runtime.vqa_model import OnnxVqaModel, pad_regions

__all__ = ["OnnxVqaModel", "pad_regions"]
