"""Run exported files: `OnnxVqaModel` is the public surface."""

from exporters.runtime.vqa_model import OnnxVqaModel

__all__ = ["OnnxVqaModel"]
