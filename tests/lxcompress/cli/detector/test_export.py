"""`lxcompress export --detector`: the file serves `data detect`; options that are rejected."""

from pathlib import Path

import numpy as np
import pytest
from butd_tiny import TINY, random_network, write_weights
from call import Call
from PIL import Image

from lxcompress.data.regions.store import RegionStore
from lxcompress.vision.butd import detector as butd


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(butd, "PUBLISHED", TINY)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_weights(tmp_path / "weights", random_network(0, TINY))


def test_the_file_gives_the_regions_of_the_weights(
    call: Call, weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "pictures").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "pictures" / "1.png")
    output = tmp_path / "my files"
    arguments = ("export", "--detector", "butd", "--detector-weights", weights)
    code, out, err = call(*arguments, "--output", output)
    assert (code, err) == (0, "")
    file = output / "detector.onnx"
    assert out.startswith(f"{file}: {file.stat().st_size:,} bytes\nas in PyTorch: 72 of 72 regions")
    detect_command = f"PICTURES --detector butd --weights '{file}' --output REGIONS"
    assert out.endswith(f"next: lxcompress data detect {detect_command}\n")
    stores = []
    for name, source in (("file", file), ("folder", weights)):
        regions = tmp_path / name
        detect = ("data", "detect", tmp_path / "pictures", "--detector", "butd", "--weights")
        options = ("--detector-precision", "fp32") if name == "folder" else ()
        assert call(*detect, source, *options, "--output", regions)[0] == 0
        stores.append(RegionStore(regions))
    assert stores[0].source == stores[1].source
    one, two = (store.gather(["1"]) for store in stores)
    np.testing.assert_allclose(one.features, two.features, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(one.boxes, two.boxes, atol=1e-4)


def test_bad_options(call: Call, weights: Path, tmp_path: Path) -> None:
    output = ("--output", tmp_path / "out")
    cases: list[tuple[tuple[object, ...], str]] = [
        ((), "give a run, a model folder or a hub id to export, or --detector butd"),
        (("--detector", "butd"), "--detector needs --output"),
        (("--detector", "pixel", *output), "only butd can be exported"),
        (("run", "--detector", "butd", *output), "with --detector, only --output"),
        (("--detector", "butd", "--device", "cuda", *output), "with --detector, only --output"),
        (("run", "--proposals", 40), "need --detector butd"),
        (("run", "--detector-weights", weights), "need --detector butd"),
        (("--detector", "butd", "--proposals", 20, *output), "--proposals 20: choose 36"),
        (
            ("--detector", "butd", "--detector-weights", tmp_path / "absent", *output),
            "detector weights: there is no folder",
        ),
    ]
    for options, message in cases:
        code, _, err = call("export", *options)
        assert code == 2 and message in err and err.count("\n") == 1, (options, err)
    assert not (tmp_path / "out").exists()
