"""Picture in, regions out: what every detector offers, and how a picture file is opened."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lxcompress.errors import ConfigError, DataError

MAX_PIXELS = 64_000_000
DETECTORS = ("pixel", "butd")
_DEVICES = ("auto", "cpu", "cuda")

# What Pillow's decoders are known to raise on a broken file.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error)


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of one picture, at least one.

    features: [n, F] float32.
    boxes: [n, 4] float32, xyxy as fractions of the picture's width and height, in 0-1.
    """

    features: np.ndarray
    boxes: np.ndarray


class Detector(Protocol):
    """Finds 1 to `max_regions` regions in each picture, with `feature_size` numbers for each."""

    name: str
    feature_size: int
    max_regions: int

    def detect(self, pictures: Sequence[Image.Image]) -> list[Regions]:
        """The regions of RGB pictures of any size; one entry per picture, in order."""
        ...


@runtime_checkable
class LearnedDetector(Detector, Protocol):
    """A detector whose regions depend on its weights as well; `weights` tells which these are."""

    weights: str


def get_detector(name: str, weights: str | Path | None = None, device: str = "auto") -> Detector:
    """The detector that `dataset.yaml` calls `name`.

    Args:
        weights: of "butd", a folder or Hugging Face id; by default the published ones.
        device: "auto" (CUDA where there is one), "cpu" or "cuda"; "pixel" is for the CPU only.

    Raises:
        ConfigError: an unknown name or device, or an option that the detector does not have.
        DeviceError: CUDA was asked for, and this machine has none.
        ModelError: the weights cannot be had or do not fit.
    """
    if device not in _DEVICES:
        raise ConfigError(f"--device {device}: choose {', '.join(_DEVICES)}")
    if name == "pixel":
        from lxcompress.vision.pixel import PixelDetector

        if weights is not None:
            raise ConfigError(f"weights {weights}: the detector pixel has none; butd has")
        if device == "cuda":
            raise ConfigError("--device cuda: the detector pixel computes on the CPU only")
        return PixelDetector()
    if name == "butd":
        from lxcompress.compute import resolve_device
        from lxcompress.vision.butd import HUB_ID, BottomUpDetector

        definite = resolve_device(device)
        # Apple's MPS pools only into cells of equal size, which those of a region are not.
        return BottomUpDetector(weights or HUB_ID, "cpu" if definite == "mps" else definite)
    raise ConfigError(f"unknown detector {name!r}; choose one of: {', '.join(DETECTORS)}")


def open_picture(path: Path) -> Image.Image:
    """Load a picture as RGB, upright by its EXIF tag, transparent parts on white.

    Raises DataError when the file is missing, no picture, damaged, or larger than MAX_PIXELS.
    """
    try:
        with warnings.catch_warnings():
            # What Pillow can repair is no news to the user; but below twice its limit a
            # decompression bomb is a mere warning as well.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                if file.width * file.height > MAX_PIXELS:
                    raise _too_large(path)
                file.load()
                return _to_rgb(ImageOps.exif_transpose(file))
    except FileNotFoundError:
        raise DataError(f"picture not found: {path}") from None
    except IsADirectoryError:
        raise DataError(f"picture expected, but this is a folder: {path}") from None
    except PermissionError:
        raise DataError(f"picture may not be read (permissions): {path}") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise _too_large(path) from None
    except UnidentifiedImageError:
        raise DataError(f"not a picture that can be read (PNG, JPEG, ...): {path}") from None
    except (*_BROKEN, zlib.error) as problem:
        reason = " ".join(str(problem).split()) or type(problem).__name__
        raise DataError(f"picture is truncated or damaged ({reason}): {path}") from None


def _too_large(path: Path) -> DataError:
    return DataError(
        f"picture has more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller: {path}"
    )


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        # Sixteen bits per pixel; Pillow's own conversion clips at 255 instead of scaling.
        grey = np.clip(np.asarray(picture, dtype=np.float32) / 257.0, 0, 255)
        return Image.fromarray(grey.round().astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")
