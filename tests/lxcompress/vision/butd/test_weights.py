"""Finding, checking and converting the detector's weights, and every kind of wrong file."""

import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from butd_tiny import TINY, random_network, write_weights

from lxcompress.errors import ConfigError, ModelError
from lxcompress.system.files import sha256
from lxcompress.vision.butd.network import BottomUpNetwork
from lxcompress.vision.butd.weights import load_network

CLASS_BIAS = "roi_heads.box_predictor.cls_score.bias"
ANCHORS = "proposal_generator.anchor_generator.cell_anchors.0"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights, and an empty cache."""
    monkeypatch.setenv("LXCOMPRESS_CACHE", str(tmp_path / "cache"))
    return write_weights(tmp_path / "weights", random_network(0, TINY))


def change(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "pytorch_model.bin"
    state = torch.load(path, weights_only=True)
    edit(state)
    torch.save(state, path)


def equal(one: BottomUpNetwork, other: BottomUpNetwork) -> bool:
    state = other.state_dict()
    return all(torch.equal(tensor, state[name]) for name, tensor in one.state_dict().items())


def test_weights_are_converted_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, digest = load_network(folder, TINY)
    assert equal(first, random_network(0, TINY))
    assert digest == sha256(folder / "pytorch_model.bin")
    cache = folder.parent / "cache" / "butd"
    assert [path.name for path in cache.glob("*.safetensors")] == [f"{digest}.safetensors"]

    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("the pickle is read again"))
    second, _ = load_network(str(folder), TINY)
    assert equal(second, first)
    assert not any(parameter.requires_grad for parameter in second.parameters())


def test_other_weights_in_the_same_folder_are_noticed(folder: Path) -> None:
    load_network(folder, TINY)
    write_weights(folder, random_network(1, TINY))
    found, digest = load_network(folder, TINY)
    assert equal(found, random_network(1, TINY)) and digest == sha256(folder / "pytorch_model.bin")


def test_half_precision_counters_and_the_old_format(folder: Path) -> None:
    """Variants of the published file that change at most the precision."""
    state: dict[str, torch.Tensor] = {
        name: tensor.half() for name, tensor in random_network(0, TINY).state_dict().items()
    }
    state["backbone.stem.conv1.norm.num_batches_tracked"] = torch.tensor(7)
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    found, _ = load_network(folder, TINY)
    for name, tensor in found.state_dict().items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor, state[name].float())


def test_two_at_once_convert_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[object] = []
    real = torch.load

    def load(*arguments: Any, **options: Any) -> Any:
        reads.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(torch, "load", load)
    found: list[BottomUpNetwork] = []
    threads = [
        threading.Thread(target=lambda: found.append(load_network(folder, TINY)[0]))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3 and len(reads) == 1
    assert all(equal(network, found[0]) for network in found)


@pytest.mark.parametrize("source", ["/no/such/folder", "weights.bin", "https://host/x/y", "../a/b"])
def test_a_folder_that_is_not_there(source: str) -> None:
    with pytest.raises(ModelError, match=f"there is no folder {source}; give one with config.yaml"):
        load_network(source, TINY)


def test_a_hub_id_without_network_says_how_to_get_weights() -> None:
    with pytest.raises(ModelError) as problem:
        load_network("unc-nlp/frcnn-vg-finetuned", TINY)
    message = str(problem.value)
    assert "offline" in message and "\n" not in message
    assert "download config.yaml and pytorch_model.bin of unc-nlp/frcnn-vg-finetuned" in message


def test_a_hub_id_that_is_cached(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    requested: list[tuple[str, str]] = []

    def download(repository: str, name: str) -> str:
        requested.append((repository, name))
        return str(folder / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    found, _ = load_network("unc-nlp/frcnn-vg-finetuned", TINY)
    assert equal(found, random_network(0, TINY))
    assert requested == [
        ("unc-nlp/frcnn-vg-finetuned", "config.yaml"),
        ("unc-nlp/frcnn-vg-finetuned", "pytorch_model.bin"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pytorch_model.bin", None, "no pytorch_model.bin in .*: not a folder of detector weights"),
        ("config.yaml", None, "no config.yaml beside the detector's weights: "),
        ("config.yaml", b"input: {format: BGR", "not valid YAML .*: .*config.yaml"),
        ("config.yaml", b"\xff\xfe\x00", "not valid YAML .*: .*config.yaml"),
        ("config.yaml", b"[1, 2]", "not the configuration of a detector: "),
        ("config.yaml", b"!!python/object/apply:os.getcwd []", "not valid YAML "),
        ("pytorch_model.bin", b"these are no weights", "not a PyTorch weights file"),
        ("pytorch_model.bin", b"", "not a PyTorch weights file"),
        ("pytorch_model.bin", b"version https://git-lfs.github.com/spec/v1\n", "not a PyTorch "),
    ],
)
def test_files_that_are_missing_or_something_else(
    folder: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=message) as problem:
        load_network(folder, TINY)
    assert "\n" not in str(problem.value)
    assert not list((folder.parent / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize("share", [0.2, 0.9, 0.999])
def test_a_cut_off_download(folder: Path, share: float) -> None:
    path = folder / "pytorch_model.bin"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match="not a PyTorch weights file, cut off, or with code"):
        load_network(folder, TINY)


class Malice:
    def __init__(self, folder: Path) -> None:
        self.command = f"touch {folder / 'run'}"

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("raw", [True, False], ids=["pickle", "archive"])
def test_code_in_the_weights_is_not_run(folder: Path, raw: bool) -> None:
    path = folder / "pytorch_model.bin"
    if raw:
        path.write_bytes(pickle.dumps(Malice(folder)))
    else:
        torch.save({CLASS_BIAS: Malice(folder)}, path)
    with pytest.raises(ModelError, match=r"or with code in it \(which was not run\): "):
        load_network(folder, TINY)
    assert not (folder / "run").exists()
    # The file does what it is said to do.
    torch.load(path, weights_only=False) if not raw else pickle.loads(path.read_bytes())
    assert (folder / "run").exists()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda s: s.pop(CLASS_BIAS), rf"the file lacks 1 of its \d+ tensors, e.g. {CLASS_BIAS}"),
        (lambda s: s.clear(), r"lacks (\d+) of its \1 tensors, e.g. backbone.stem.conv1.weight"),
        (lambda s: s.update(more=torch.zeros(1)), "the file has 1 unknown tensors, e.g. more: "),
        (
            lambda s: s.update({CLASS_BIAS: torch.zeros(7)}),
            rf"{CLASS_BIAS} is torch.float32 \[7\], expected floats \[13\]",
        ),
        (
            lambda s: s.update({CLASS_BIAS: torch.zeros(13, dtype=torch.int64)}),
            rf"{CLASS_BIAS} is torch.int64 \[13\]",
        ),
        (
            lambda s: s[CLASS_BIAS].fill_(float("nan")),
            f"damaged weights: {CLASS_BIAS} has NaN or infinity",
        ),
        (lambda s: s[ANCHORS].mul_(2), "weights for other anchors than this detector's"),
        (lambda s: s.update(epoch=3), "not a state dict"),
    ],
)
def test_a_state_dict_that_does_not_fit(folder: Path, edit: Any, message: str) -> None:
    change(folder, edit)
    with pytest.raises(ModelError, match=message) as problem:
        load_network(folder, TINY)
    assert str(folder / "pytorch_model.bin") in str(problem.value)
    assert not list((folder.parent / "cache").rglob("*.safetensors"))


def test_a_list_of_weights(folder: Path) -> None:
    torch.save([torch.zeros(3)], folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="not a state dict"):
        load_network(folder, TINY)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("input", "format", "RGB"),
        ("input", "min_size_test", 600),
        ("model", "pixel_mean", [122.7717, 115.9465, 102.9801]),
        ("model", "max_pool", False),
        ("resnets", "depth", 50),
        ("resnets", "stride_in_1x1", False),
        ("anchor_generator", "sizes", [[32, 64, 128, 256, 512]]),
        ("anchor_generator", "offset", 0.5),
        ("roi_heads", "num_classes", 80),
        ("roi_box_head", "res5halve", True),
        ("roi_box_head", "bbox_reg_weights", [1, 1, 1, 1]),
    ],
)
def test_a_configuration_of_another_network(
    folder: Path, section: str, key: str, value: object
) -> None:
    path = folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config[section][key] = value
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match=rf"^{section}.{key} is .* of another network: "):
        load_network(folder, TINY)


def test_a_configuration_may_have_more_or_fewer_keys(folder: Path) -> None:
    (folder / "config.yaml").write_text("max_detections: 100\ninput: {format: BGR, x: 1}\n")
    load_network(folder, TINY)


def test_a_cache_that_is_damaged_or_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, digest = load_network(folder, TINY)
    kept = folder.parent / "cache" / "butd" / f"{digest}.safetensors"
    kept.write_bytes(kept.read_bytes()[:-5])
    with pytest.raises(ModelError, match=f"cannot read {kept} .*; delete it and try again"):
        load_network(folder, TINY)
    (folder / "file").touch()
    monkeypatch.setenv("LXCOMPRESS_CACHE", str(folder / "file" / "cache"))
    with pytest.raises(ConfigError, match="cannot write to the cache .*; set LXCOMPRESS_CACHE"):
        load_network(folder, TINY)
