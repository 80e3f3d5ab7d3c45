"""The settings of a run, from the command line or a YAML file, validated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lxcompress.choices import Criterion, Pattern, Rewind, Schedule, Scope, Subnetwork
from lxcompress.defaults import (
    LXMERT_RECIPE,
    PRESETS,
    SMALL_RECIPE,
    pattern_defaults,
    start_defaults,
    target_defaults,
)
from lxcompress.errors import ConfigError, LxcompressError
from lxcompress.system.files import read_json
from lxcompress.system.text import check_name

EMBEDDED_DATA = "shapes"
EMBEDDED_MODEL = "lxmert-shapes"

# Names that are not paths, by the option that takes them.
_KEYWORDS = {
    "data": {EMBEDDED_DATA},
    "model": {EMBEDDED_MODEL},
    "tokenizer": {EMBEDDED_MODEL},
    "model-config": set(PRESETS),
    "pretrained-answers": set(),
    "tensorboard": set(),
    "from": set(),
    "finetuned": {EMBEDDED_MODEL},
    "answers": set(),
    "mask": set(),
}
# Where there is no such path: a hub id, a shipped answer list, or a preset misspelt.
_PATHS_THAT_EXIST = {"model", "finetuned", "answers", "tokenizer", "model-config"}

MAX_TOKENS = 20  # of a question, [CLS] and [SEP] included, as in LXMERT
# Settings that change how a run is computed on this machine, but not what it computes.
_FREE_SETTINGS = {"workers", "tensorboard"}

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16"]
SpeedupPrecision = Literal["fp32", "int8"]


class TrainingConfig(BaseModel):
    """The settings that `lxcompress prune` and `lxcompress pretrain` share.

    YAML files and messages use the fields' aliases, which are the command-line options.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    data: str = EMBEDDED_DATA
    architecture: str | None = Field(None, alias="model-config")
    tokenizer: str | None = None
    seed: int = Field(0, ge=0, lt=2**31)
    epochs: int = Field(ge=1)
    batch_size: int = Field(alias="batch-size", ge=1)
    learning_rate: float = Field(alias="learning-rate", gt=0, lt=1)
    max_tokens: int = Field(MAX_TOKENS, alias="max-tokens", ge=3)
    precision: Precision = "auto"
    device: Device = "auto"
    workers: int | None = Field(None, ge=0)
    tensorboard: str | None = None

    @classmethod
    def parse(cls, settings: Mapping[str, Any]) -> Self:
        """Validate `settings` and make paths absolute, so that they hold in any folder.

        Raises:
            ConfigError: a setting is wrong; the message names the option.
        """
        for option, value in settings.items():
            if isinstance(value, str):
                check_name(option, value)
        try:
            config = cls.model_validate(dict(settings))
        except ValidationError as problem:
            raise ConfigError(_error_message(problem)) from None
        resolved = resolve_paths(config.dump())
        options = {name: field.alias or name for name, field in cls.model_fields.items()}
        paths = {n: resolved[option] for n, option in options.items() if option in _KEYWORDS}
        return config.model_copy(update=paths)

    def on(self, device: str, precision: str) -> Self:
        """Return a copy with the resolved device and precision, which is what a run records."""
        return self.model_copy(update={"device": device, "precision": precision})

    def dump(self) -> dict[str, Any]:
        """Return the effective settings by option name, as plain values for JSON or YAML."""
        return self.model_dump(by_alias=True, mode="json")


class PruneConfig(TrainingConfig):
    """The settings of one lottery-ticket run (`lxcompress prune`)."""

    model: str | None = None
    pretrained_answers: str | None = Field(None, alias="pretrained-answers")
    keep_answer_head: bool = Field(False, alias="keep-answer-head")
    finetuned: str | None = None
    answers: str | None = None
    from_run: str | None = Field(None, alias="from")
    mask: str | None = None
    sparsity: float | None = Field(None, gt=0, lt=1)
    speedup: float | None = Field(None, gt=1, allow_inf_nan=False)
    speedup_precision: SpeedupPrecision | None = Field(None, alias="speedup-precision")
    speedup_batch: int | None = Field(None, alias="speedup-batch", ge=1, le=1024)
    pattern: str = Pattern.UNSTRUCTURED
    criterion: Criterion = Criterion.MAGNITUDE
    subnetwork: Subnetwork = Subnetwork.LOW
    scope: Scope = Scope.GLOBAL
    schedule: Schedule = Schedule.PAPER
    rewind: Rewind = Rewind.WEIGHTS
    rewind_step: int | None = Field(None, alias="rewind-step", ge=1)
    enforce_mask: bool = Field(True, alias="enforce-mask")
    control: bool = True

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, settings: dict[str, Any]) -> dict[str, Any]:
        embedded_data = settings.get("data", EMBEDDED_DATA) == EMBEDDED_DATA
        model, finetuned = settings.get("model"), settings.get("finetuned")
        if embedded_data and not (model or finetuned or settings.get("model-config")):
            settings = {**settings, "model": (model := EMBEDDED_MODEL)}
        is_small = settings.get("model-config") == "small" or _is_small(model or finetuned)
        recipe = SMALL_RECIPE if is_small else LXMERT_RECIPE
        settings = {name: value for name, value in settings.items() if value is not None}
        usual = target_defaults(settings.get("speedup"), settings.get("mask"))
        pattern = str(settings.get("pattern", usual.get("pattern")))
        usual |= pattern_defaults(pattern) | start_defaults(finetuned, model)
        return {**recipe, **usual, **settings}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        self._check_finetuned()
        if self.finetuned is None and (self.model is None) == (self.architecture is None):
            # A mistyped "shapes" lacks a model too, but the dataset is what is wrong.
            if self.data != EMBEDDED_DATA and not Path(self.data).exists():
                raise ValueError(f"--data {self.data}: there is no such dataset folder")
            raise ValueError(
                "give either --model (a pre-trained LXMERT: a folder, or a hub id such as "
                "unc-nlp/lxmert-base-uncased) or --model-config (to train one from scratch)"
            )
        self._check_mask()
        self._check_speedup()
        if Pattern.of(self.pattern) == Pattern.N_OF_M:
            own = pattern_defaults(self.pattern)["sparsity"]
            if self.sparsity is None or abs(self.sparsity - own) > 1e-9:
                what = f"{own:.4g} of the weights; leave out --sparsity"
                raise ValueError(f"--pattern {self.pattern} prunes {what}")
            if self.scope != Scope.GLOBAL:
                m = self.pattern.partition(":")[2]
                raise ValueError(f"--pattern {self.pattern} ranks each {m} weights by themselves")
            if self.from_run:
                raise ValueError(f"--pattern {self.pattern} cannot go on from another mask")
        if not self.enforce_mask and (self.prunes_units or self.from_run):
            other = "--pattern structured" if self.prunes_units else "--from"
            raise ValueError(f"--no-enforce-mask cannot be used with {other}")
        if self.from_run and self.rewind == Rewind.LATE:
            raise ValueError(
                "--rewind late cannot be used with --from, because a finished run does not keep "
                "these weights; choose --rewind weights or lr"
            )
        if self.rewind_step is not None and self.rewind != Rewind.LATE:
            raise ValueError("--rewind-step can only be used with --rewind late")
        if self.keep_answer_head and self.model is None:
            raise ValueError("--keep-answer-head needs a pre-trained --model")
        if self.pretrained_answers and not self.keep_answer_head:
            raise ValueError("--pretrained-answers can only be used with --keep-answer-head")
        return self

    def _check_finetuned(self) -> None:
        if self.finetuned is None:
            if self.answers is not None:
                raise ValueError("--answers can only be used with --finetuned")
            return
        if self.architecture is not None:
            raise ValueError(
                "--model-config cannot be used with --finetuned; the start weights are those of "
                "--model"
            )
        if self.rewind == Rewind.LATE:
            raise ValueError(
                "--rewind late cannot be used with --finetuned, because the weights of its first "
                "training steps are unknown; choose --rewind lr, or weights with --model"
            )
        if self.rewind == Rewind.WEIGHTS and self.model is None:
            raise ValueError(
                "--rewind weights needs the start weights of --finetuned: give the pre-trained "
                "model with --model, or choose --rewind lr"
            )

    def _check_mask(self) -> None:
        if self.mask is None:
            return
        criterion = pattern_defaults(self.pattern).get("criterion", Criterion.MAGNITUDE)
        given = {
            "speedup": self.speedup is not None,
            "from": self.from_run is not None,
            f"pattern {self.pattern}": Pattern.of(self.pattern) == Pattern.N_OF_M,
            "schedule": self.schedule != Schedule.PAPER,
            "criterion": self.criterion != criterion,
            "subnetwork": self.subnetwork != Subnetwork.LOW,
            "scope": self.scope != Scope.GLOBAL,
            "sparsity": self.sparsity is not None,  # last: an N:M pattern sets it
        }
        for option, is_given in given.items():
            if is_given:
                raise ValueError(
                    f"--{option} cannot be used with --mask; the mask is used as it is"
                )

    def _check_speedup(self) -> None:
        if self.speedup is None:
            if self.speedup_precision or self.speedup_batch:
                raise ValueError("--speedup-precision and --speedup-batch need --speedup")
            return
        if not self.prunes_units:
            raise ValueError(
                f"--speedup needs --pattern structured: {self.pattern} tickets are not faster"
            )
        if self.sparsity is not None:
            raise ValueError("give either --sparsity or --speedup")

    @property
    def target(self) -> float:
        """The fraction in 0-1 to remove: of the weights, or with a speedup of the latency."""
        if self.speedup is not None:
            return 1 - 1 / self.speedup
        assert self.sparsity is not None
        return self.sparsity

    @property
    def prunes_units(self) -> bool:
        """Whether whole heads and neurons are pruned, not single weights."""
        return self.pattern == Pattern.STRUCTURED


class PretrainConfig(TrainingConfig):
    """The settings of `lxcompress pretrain`."""

    architecture: str = Field("small", alias="model-config")
    model: str | None = None
    weight_decay: float = Field(0.01, alias="weight-decay", ge=0)
    epochs: int = Field(7, ge=1)
    batch_size: int = Field(64, alias="batch-size", ge=1)
    learning_rate: float = Field(5e-4, alias="learning-rate", gt=0, lt=1)


def resolve_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings, by option name, whose local paths are absolute and hub ids unchanged."""
    resolved = dict(settings)
    for option, keywords in _KEYWORDS.items():
        name = settings.get(option)
        if not isinstance(name, str) or name in keywords:
            continue
        path = Path(name)
        if option in _PATHS_THAT_EXIST and not path.exists():
            continue
        # A file may be a link, as in Hugging Face's cache, to one whose name says nothing.
        is_link = path.is_symlink() and not path.is_dir()
        resolved[option] = str(path.parent.resolve() / path.name if is_link else path.resolve())
    return resolved


def first_difference(found: dict[str, Any], settings: dict[str, Any]) -> str | None:
    """Describe the first setting that differs and changes the computation; None if none does."""
    found, settings = resolve_paths(found), resolve_paths(settings)
    for name in sorted((found.keys() | settings.keys()) - _FREE_SETTINGS):
        if found.get(name) != settings.get(name):
            return f"{name} is {found.get(name)} there and {settings.get(name)} here"
    return None


def _is_small(model: str | None) -> bool:
    """Return whether a model is the embedded one or a folder of one at most twice as wide."""
    if model is None or model == EMBEDDED_MODEL:
        return model == EMBEDDED_MODEL
    try:
        found = read_json(Path(model) / "config.json", "model configuration")
        return found["hidden_size"] <= 2 * PRESETS["small"]["hidden_size"]
    except (LxcompressError, KeyError, TypeError):
        return False  # a hub id, or a folder whose loading will raise an error


def _error_message(problem: ValidationError) -> str:
    first = problem.errors()[0]
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"unknown setting {first['loc'][0]!r}"
    if not first["loc"]:
        return reason
    return f"--{first['loc'][0]} {first['input']}: {reason[0].lower()}{reason[1:]}"
