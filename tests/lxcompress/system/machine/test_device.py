"""Exactly the device and precision that were asked for, or an error that says why not."""

import pytest
import torch

from lxcompress.errors import DeviceError
from lxcompress.system.machine.device import make_accelerator, resolve_device, resolve_precision


@pytest.fixture
def has(monkeypatch: pytest.MonkeyPatch):
    """Pretend to have these devices."""

    def pretend(*devices: str, bf16: bool = True, built: bool = True) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in devices)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in devices)
        monkeypatch.setattr(torch.version, "cuda", "13.0" if built else None)

    return pretend


@pytest.mark.parametrize(
    ("devices", "expected"),
    [(("cuda", "mps"), "cuda"), (("mps",), "mps"), (("cuda",), "cuda"), ((), "cpu")],
)
def test_auto_takes_the_fastest(has, devices: tuple[str, ...], expected: str) -> None:
    has(*devices)
    assert resolve_device("auto") == expected
    assert resolve_device("cpu") == "cpu"


def test_no_cuda_never_falls_back(has) -> None:
    has(built=False)
    with pytest.raises(DeviceError, match="this PyTorch is built without CUDA.*--device cpu"):
        make_accelerator("cuda", "auto")
    has(built=True)
    with pytest.raises(DeviceError, match="finds no usable NVIDIA driver or GPU"):
        make_accelerator("cuda", "auto")
    with pytest.raises(DeviceError, match="no Apple GPU"):
        make_accelerator("mps", "auto")


@pytest.mark.parametrize(
    ("asked", "device", "bf16", "expected"),
    [
        ("auto", "cuda", True, "bf16"),
        ("auto", "cuda", False, "fp32"),
        ("auto", "cpu", True, "fp32"),
        ("auto", "mps", True, "fp32"),
        ("fp32", "cuda", True, "fp32"),
        ("bf16", "cuda", True, "bf16"),
        ("bf16", "cpu", False, "bf16"),
    ],
)
def test_precision(has, asked: str, device: str, bf16: bool, expected: str) -> None:
    has("cuda", bf16=bf16)
    assert resolve_precision(asked, device) == expected


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_bf16_where_there_is_none(has, device: str) -> None:
    has(device, bf16=False)
    with pytest.raises(DeviceError, match=f"--precision bf16: {device} does not compute in bf16"):
        resolve_precision("bf16", device)


@pytest.mark.parametrize("order", [("fp32", "bf16", "fp32"), ("bf16", "fp32", "bf16")])
def test_one_process_may_do_several_runs(order: tuple[str, ...]) -> None:
    """accelerate would keep the first choice for the life of the process."""
    for precision in order:
        accelerator = make_accelerator("cpu", precision)
        assert accelerator.device == torch.device("cpu")
        with accelerator.autocast():
            dtype = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        assert dtype == {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]


def test_torch_is_made_deterministic() -> None:
    make_accelerator("cpu", "fp32")
    assert torch.are_deterministic_algorithms_enabled()
