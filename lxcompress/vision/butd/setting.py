"""How the bottom-up-attention detector computes: exactly, or faster."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace

from lxcompress.errors import ConfigError

MAX_REGIONS = 36
MAX_PROPOSALS = 300
WEIGHTS_IDENTITY = "weights sha256:"
"""How the identity of weights begins, which regions record."""
REVISION = 2
"""Of the computation: to be raised when the same weights and setting give other values.

1, which identities do not mention: cells of RoIPool from exact fractions. 2: in float32.
"""
_SCREENED, _PROPOSALS = "screened", " proposals"
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class DetectorSetting:
    """How regions are computed.

    precision: of the convolutions, "fp32", "bf16", or "auto": bf16 on a CPU with instructions for
        it, else fp32.
    proposals: regions proposed, 36 to 300, among which 36 are selected.
    screening: judge proposals by a quarter of their cells first, and compute the features of the
        100 most promising ones only. They are the exact ones; another proposal may be selected.

    Raises:
        ConfigError: a value is not one of these.
    """

    precision: str = "auto"
    proposals: int = MAX_PROPOSALS
    screening: bool = True

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"--detector-precision {self.precision}: choose {', '.join(PRECISIONS)}"
            )
        if not MAX_REGIONS <= self.proposals <= MAX_PROPOSALS:
            raise ConfigError(
                f"--proposals {self.proposals}: choose {MAX_REGIONS} (all of them become regions) "
                f"to {MAX_PROPOSALS} (the detector's own number)"
            )

    @property
    def is_default(self) -> bool:
        """Whether nothing was chosen."""
        return self == DetectorSetting()

    def definite(self, device: str) -> DetectorSetting:
        """Return the setting with a definite precision on a device, "cpu" or "cuda".

        Raises:
            ConfigError: bf16 was requested where there are no instructions for it.
        """
        native = has_native_bf16(device)
        if self.precision == "bf16" and not native:
            raise ConfigError(
                f"--detector-precision bf16: this {device} has no bf16 arithmetic, and would "
                "be slower than in fp32; choose auto or fp32"
            )
        if self.precision != "auto":
            return self
        # On a GPU the detector is fast enough without.
        precision = "bf16" if native and device == "cpu" else "fp32"
        return replace(self, precision=precision)

    def describe(self) -> str:
        """How a definite setting differs from the exact one: ", screened, bf16"; "" if it is it."""
        parts = (
            (self.screening, _SCREENED),
            (self.proposals != MAX_PROPOSALS, f"{self.proposals}{_PROPOSALS}"),
            (self.precision != "fp32", self.precision),
        )
        return "".join(f", {text}" for differs, text in parts if differs)


def describe_weights(digest: str, setting: DetectorSetting) -> str:
    """The identity of weights and how regions are computed with them, which regions record.

    It has the SHA-256 of the weights' file, the revision, and how a definite setting is not exact.
    """
    return f"{WEIGHTS_IDENTITY}{digest[:16]} (revision {REVISION}){setting.describe()}"


def options_for(identity: str, other: str) -> str | None:
    """The options that give regions of one identity where `other` was made with another setting.

    None when more than the setting differs.
    """
    weights, *parts = identity.split(", ")
    if not weights.startswith(WEIGHTS_IDENTITY) or other.split(", ")[0] != weights:
        return None
    options = ["--screening" if _SCREENED in parts else "--no-screening"]
    options += ["--detector-precision", "bf16" if "bf16" in parts else "fp32"]
    for part in parts:
        if part.endswith(_PROPOSALS):
            options += ["--proposals", part.removesuffix(_PROPOSALS)]
    return shlex.join(options)


EXACT = DetectorSetting("fp32", MAX_PROPOSALS, screening=False)


def has_native_bf16(device: str) -> bool:
    """Whether the device multiplies bf16 in hardware (AVX512-BF16 or AMX on a CPU)."""
    import torch

    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
