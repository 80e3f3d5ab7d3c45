"""`lxcompress data detect --detector butd`, and datasets whose regions it makes."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from butd_tiny import TINY, random_network, write_weights
from call import Call
from dataset_files import write_official
from PIL import Image

from lxcompress.data.dataset import open_dataset
from lxcompress.data.regions.detection import detect_folder
from lxcompress.data.regions.store import RegionStore
from lxcompress.errors import ConfigError, DataError, Interrupted
from lxcompress.system.files import sha256
from lxcompress.vision.butd import detector as butd
from lxcompress.vision.butd import setting
from lxcompress.vision.butd.detector import BottomUpDetector
from lxcompress.vision.detectors import get_detector
from lxcompress.vision.regions import Regions


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(butd, "PUBLISHED", TINY)
    # `auto` is fp32, also on a processor with bf16.
    monkeypatch.setattr(setting, "has_native_bf16", lambda device: False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights"), random_network(0, TINY))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(1, 5):
        pixels = random.integers(0, 256, (20 + number, 30, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"COCO_val2014_{number:012d}.png")
    return folder


def content(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*.safetensors"))]


def test_regions_of_a_folder(call: Call, pictures: Path, weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "regions"
    arguments = ("data", "detect", pictures, "--detector", "butd", "--weights", weights)
    code, out, err = call(*arguments, "--device", "cpu", "--output", output)
    assert (code, err) == (0, "")
    assert out.startswith("regions of 4 pictures (256 features): ")
    store = RegionStore(output)
    assert (store.detector, store.feature_size, store.max_regions) == ("butd", 256, 36)
    detector = get_detector("butd", weights)
    assert isinstance(detector, BottomUpDetector)
    digest = sha256(weights / "pytorch_model.bin")[:16]
    assert detector.weights == f"weights sha256:{digest} (revision {setting.REVISION})"
    assert store.source == f"{detector.weights}, screened"
    (alone,) = detector.detect([Image.open(pictures / "COCO_val2014_000000000003.png")])
    batch = store.gather(["3"])
    # Of the 60 proposals of this small network, screening leaves out none.
    np.testing.assert_allclose(batch.features[0], alone.features, rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(batch.boxes[0], alone.boxes, atol=1e-4)

    # Pictures that were added since are added; in batches it is the same.
    Image.new("RGB", (9, 9)).save(pictures / "COCO_val2014_000000000005.png")
    assert call(*arguments, "--output", output)[0] == 0
    assert len(RegionStore(output)) == 5
    assert call(*arguments, "--batch-size", 3, "--output", tmp_path / "batches")[0] == 0
    assert content(tmp_path / "batches") == content(output)


def test_an_interrupted_run_continues(
    pictures: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = get_detector("butd", weights)
    assert isinstance(detector, BottomUpDetector)
    detect_folder(pictures, tmp_path / "whole", detector)
    seen: list[int] = []
    real = BottomUpDetector.detect

    def stopping(self: BottomUpDetector, pictures: list[Image.Image]) -> list[Regions]:
        seen.append(len(pictures))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(self, pictures)

    monkeypatch.setattr(BottomUpDetector, "detect", stopping)
    with pytest.raises(Interrupted, match="the regions of 2 of 4 pictures are kept"):
        detect_folder(pictures, tmp_path / "stopped", detector)
    detect_folder(pictures, tmp_path / "stopped", detector)
    assert seen == [1] * 5, "two pictures, the stop, and the two that were left"
    assert content(tmp_path / "stopped") == content(tmp_path / "whole")


def test_regions_of_other_weights_are_not_mixed(
    call: Call, pictures: Path, weights: Path, tmp_path: Path
) -> None:
    output = tmp_path / "regions"
    detect_folder(pictures, output, get_detector("butd", weights))
    other = write_weights(tmp_path / "other", random_network(1, TINY))
    before = content(output)
    code, _, err = call(
        "data", "detect", pictures, "--detector", "butd", "--weights", other, "--output", output
    )
    assert code == 2 and content(output) == before
    assert "has regions with source 'weights sha256:" in err
    assert ": choose another output folder, or delete this one" in err


def test_regions_of_another_revision_of_the_computation_are_not_mixed(
    pictures: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for revision, output in ((setting.REVISION - 1, "earlier"), (setting.REVISION, "now")):
        with monkeypatch.context() as patch:
            patch.setattr(setting, "REVISION", revision)
            detect_folder(pictures, tmp_path / output, get_detector("butd", weights))
    detector = get_detector("butd", weights)
    detect_folder(pictures, tmp_path / "now", detector)
    with pytest.raises(DataError, match=r"revision 1\)', not .*revision 2\)': choose another"):
        detect_folder(pictures, tmp_path / "earlier", detector)


def test_regions_of_other_settings_are_not_mixed(
    call: Call, pictures: Path, weights: Path, tmp_path: Path
) -> None:
    arguments = ("data", "detect", pictures, "--detector", "butd", "--weights", weights)
    exact, output = ("--no-screening", "--detector-precision", "fp32"), tmp_path / "regions"
    assert call(*arguments, *exact, "--device", "cpu", "--output", output)[0] == 0
    before = content(output)
    detect_folder(pictures, tmp_path / "same", get_detector("butd", weights, "cpu"))
    assert content(tmp_path / "same") == before, "this is the exact setting"
    for others in ((), ("--no-screening", "--proposals", 40)):
        code, _, err = call(*arguments, *others, "--device", "cpu", "--output", output)
        assert code == 2 and "has regions with source" in err and content(output) == before
        assert ": give --no-screening --detector-precision fp32, choose another output" in err


def test_comparing_a_setting_with_the_exact_one(
    call: Call, pictures: Path, weights: Path, tmp_path: Path
) -> None:
    folder = ("data", "detect", pictures, "--detector", "butd", "--weights", weights)
    arguments = (*folder, "--device", "cpu", "--compare")
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 6 and lines[1].startswith("COCO_val2014_000000000001.png: ")
    assert lines[-1].startswith("4 pictures: ") and "100.0% of the regions" in lines[-1]
    assert "of 36; 0.00e+00" in call(*arguments, "--no-screening")[1]
    fewer = call(*arguments, "--proposals", 36)[1].splitlines()[-1]
    assert "times as fast" in fewer and "100.0%" not in fewer
    for picture in sorted(pictures.iterdir())[1:]:
        picture.unlink()
    assert call(*arguments)[1].splitlines()[-1].startswith("1 picture: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures"]


def test_options_of_detect(call: Call, pictures: Path, weights: Path, tmp_path: Path) -> None:
    butd = ("--detector", "butd", "--weights", weights)
    cases: list[tuple[tuple[object, ...], str]] = [
        (butd, "give --output, the folder for the regions, or --compare"),
        ((*butd, "--compare", "--output", tmp_path / "x"), "--compare needs --detector butd, and"),
        (("--compare",), "--compare needs --detector butd"),
        (("--detector", "butd", "--weights", "x.onnx", "--compare"), "needs a folder of weights"),
        ((*butd, "--proposals", 35, "--compare"), "--proposals 35: choose 36"),
        ((*butd, "--proposals", 301, "--compare"), "--proposals 301: choose 36"),
        ((*butd, "--detector-precision", "int8", "--compare"), "choose auto, fp32, bf16"),
        (("--no-screening", "--output", tmp_path / "x"), "are of the detector butd"),
        (
            ("--detector", "butd", "--weights", "absent.onnx", "--output", tmp_path / "x"),
            "no such detector file: absent.onnx",
        ),
    ]
    for options, message in cases:
        code, _, err = call("data", "detect", pictures, *options)
        assert code == 2 and message in err and err.count("\n") == 1, (options, err)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--weights", "W"), "weights W: the detector pixel has none; butd has"),
        (("--device", "cuda"), "--device cuda: the detector pixel runs on the CPU only"),
        (("--device", "tpu"), "--device tpu: choose auto, cpu, cuda"),
        (("--detector", "butd", "--device", "cuda"), "--device cuda: "),
        (("--detector", "butd", "--weights", "no/such"), "there is no folder no/such, and"),
        (("--detector", "butd", "--weights", "/no/such"), "there is no folder /no/such; give"),
        (("--detector", "yolo"), "unknown detector 'yolo'; choose one of: pixel, butd"),
    ],
)
def test_wrong_options(
    call: Call, options: tuple[str, ...], message: str, pictures: Path, tmp_path: Path
) -> None:
    code, _, err = call("data", "detect", pictures, "--output", tmp_path / "r", *options)
    assert code == 2 and message in err and len(err.splitlines()) == 1
    assert not (tmp_path / "r").exists()


def dataset_of(folder: Path, pictures: Path, **more: str) -> Path:
    splits = {}
    for split, ids in (("train", [1, 2]), ("val", [3, 4])):
        paths = write_official(folder, split, ids)
        splits[split] = {key: path.name for key, path in paths.items()} | {"images": str(pictures)}
    yaml_file = {"name": "mine", "detector": "butd", "min_occurrences": 1, **splits, **more}
    (folder / "dataset.yaml").write_text(yaml.safe_dump(yaml_file))
    return folder


def test_a_dataset_makes_its_regions_with_its_weights(pictures: Path, tmp_path: Path) -> None:
    write_weights(tmp_path / "data" / "weights", random_network(0, TINY))
    folder = dataset_of(tmp_path / "data", pictures, weights="weights")
    dataset = open_dataset(folder)
    before = dataset.fingerprint
    assert dataset.region_format("train").feature_size == 256, "before there are any"
    dataset.prepare_regions("train")
    train = dataset.split("train")
    assert len(train.regions) == 2 and train.regions.feature_size == 256

    # Another network in the same folder, before the other split's regions are made.
    write_weights(folder / "weights", random_network(1, TINY))
    with pytest.raises(DataError, match="the train regions were made with weights sha256:.*delete"):
        open_dataset(folder).prepare_regions("val")
    open_dataset(folder).prepare_regions("train")  # what is made needs no weights
    write_weights(folder / "weights", random_network(0, TINY))
    again = open_dataset(folder)
    again.prepare_regions("train", "val")
    val = again.split("val")
    assert len(val.regions) == 2 and val.regions.source == train.regions.source
    assert json.loads((folder / "regions/val-butd/index.json").read_text())["source"]
    assert again.fingerprint == before
    assert open_dataset(dataset_of(folder, pictures)).fingerprint != before


def test_weights_of_a_detector_without_any(pictures: Path, tmp_path: Path) -> None:
    folder = dataset_of(tmp_path, pictures, detector="pixel", weights="weights")
    with pytest.raises(ConfigError, match="weights weights: the detector pixel has none"):
        open_dataset(folder).prepare_regions("train")
    text = yaml.safe_load((folder / "dataset.yaml").read_text())
    del text["detector"]
    for split in ("train", "val"):
        text[split]["regions"] = "r"
    (folder / "dataset.yaml").write_text(yaml.safe_dump(text))
    with pytest.raises(DataError, match="weights: belong to a detector:"):
        open_dataset(folder)
