"""Settings of the detector: what is allowed, and what regions record of them."""

import pytest
import torch

from lxcompress.errors import ConfigError
from lxcompress.vision.butd.setting import (
    EXACT,
    DetectorSetting,
    describe_weights,
    has_native_bf16,
    options_for,
)


def with_bf16(monkeypatch: pytest.MonkeyPatch, *, native: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})


def test_what_regions_record(monkeypatch: pytest.MonkeyPatch) -> None:
    with_bf16(monkeypatch, native=True)
    assert EXACT.definite("cpu").describe() == ""
    assert DetectorSetting("fp32").describe() == ", screened"
    assert DetectorSetting().definite("cpu").describe() == ", screened, bf16"
    setting = DetectorSetting("bf16", 150, screening=False)
    assert setting.definite("cpu").describe() == ", 150 proposals, bf16"
    identity = describe_weights("0123456789abcdef" * 4, EXACT)
    assert identity == "weights sha256:0123456789abcdef (revision 2)"


def test_options_that_repeat_what_regions_record() -> None:
    exact, fast, other = (
        describe_weights(digest * 16, setting)
        for digest, setting in (
            ("0123", EXACT),
            ("0123", DetectorSetting("bf16", 150)),
            ("4567", EXACT),
        )
    )
    assert options_for(exact, fast) == "--no-screening --detector-precision fp32"
    assert options_for(fast, exact) == "--screening --detector-precision bf16 --proposals 150"
    assert options_for(exact, other) is None
    assert options_for("features.tsv", "other.tsv") is None
    assert options_for("weights sha256:0123456789abcdef", exact) is None, "an earlier revision"


def test_auto_is_bf16_only_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with_bf16(monkeypatch, native=False)
    assert not has_native_bf16("cpu")
    assert DetectorSetting("auto", 50).definite("cpu") == DetectorSetting("fp32", 50)
    with pytest.raises(ConfigError, match="bf16: this cpu has no bf16 arithmetic.*choose auto or"):
        DetectorSetting("bf16").definite("cpu")
    with_bf16(monkeypatch, native=True)
    assert DetectorSetting("auto", 50).definite("cpu") == DetectorSetting("bf16", 50)
    assert DetectorSetting("fp32").definite("cpu") == DetectorSetting("fp32")


@pytest.mark.parametrize("precision", ["int8", "fp16", "", "FP32"])
def test_unknown_precisions(precision: str) -> None:
    with pytest.raises(ConfigError, match="--detector-precision .*: choose auto, fp32, bf16"):
        DetectorSetting(precision)


@pytest.mark.parametrize("proposals", [-1, 0, 35, 301, 6000])
def test_numbers_of_proposals(proposals: int) -> None:
    with pytest.raises(ConfigError, match=f"--proposals {proposals}: choose 36 .* to 300"):
        DetectorSetting("fp32", proposals)
