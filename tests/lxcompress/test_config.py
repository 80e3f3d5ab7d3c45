"""Settings: defaults, what contradicts itself, YAML files, and messages that name the option."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lxcompress.config import PretrainConfig, PruneConfig
from lxcompress.errors import ConfigError
from lxcompress.system.settings_file import read_settings

FULL = {"data": "data/vqa", "model": "unc-nlp/lxmert-base-uncased"}


def test_embedded_default() -> None:
    config = PruneConfig.parse({})
    assert (config.data, config.model) == ("shapes", "lxmert-shapes")
    assert (config.epochs, config.batch_size, config.learning_rate) == (2, 32, 2e-4)
    assert (config.sparsity, config.subnetwork, config.scope) == (0.5, "low", "global")
    assert (config.schedule, config.rewind, config.seed) == ("paper", "weights", 0)


def test_other_models_get_lxmerts_recipe() -> None:
    config = PruneConfig.parse(FULL)
    assert (config.epochs, config.batch_size, config.learning_rate) == (4, 32, 5e-5)
    assert config.max_tokens == 20
    small = PruneConfig.parse({"data": "d", "model-config": "small", "epochs": 7})
    assert (small.epochs, small.learning_rate, small.model) == (7, 2e-4, None)


def test_a_folder_with_a_small_model_gets_the_small_recipe(tmp_path: Path) -> None:
    for width, rate in ((128, 2e-4), (768, 5e-5)):
        (tmp_path / "config.json").write_text(f'{{"hidden_size": {width}}}')
        config = PruneConfig.parse({"data": "d", "model": str(tmp_path)})
        assert config.learning_rate == rate


def test_dump_is_read_back() -> None:
    config = PruneConfig.parse(FULL | {"rewind": "late", "rewind-step": 9, "batch-size": 8})
    dumped = config.dump()
    assert {"batch-size", "learning-rate", "max-tokens", "model-config"} <= dumped.keys()
    assert PruneConfig.parse(json.loads(json.dumps(dumped))) == config
    assert PruneConfig.parse(PruneConfig.parse({}).dump()) == PruneConfig.parse({})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sparsity": 0}, "--sparsity 0: input should be greater than 0"),
        ({"sparsity": 1}, "--sparsity 1: input should be less than 1"),
        ({"sparsity": 2.0}, "--sparsity 2.0: "),
        ({"sparsity": float("nan")}, "--sparsity nan: "),
        ({"sparsity": "half"}, "--sparsity half: input should be a valid number"),
        (
            {"subnetwork": "medium"},
            "--subnetwork medium: input should be 'low', 'high' or 'random'",
        ),
        ({"scope": "x"}, "--scope x: input should be 'global', 'layer' or 'modality'"),
        ({"schedule": "x"}, "--schedule x: input should be 'paper' or 'iterative'"),
        ({"rewind": "x"}, "--rewind x: input should be 'weights', 'late' or 'lr'"),
        ({"seed": -1}, "--seed -1: "),
        ({"seed": 1.5}, "--seed 1.5: "),
        ({"epochs": 0}, "--epochs 0: "),
        ({"batch-size": 0}, "--batch-size 0: "),
        ({"learning-rate": 0}, "--learning-rate 0: "),
        ({"max-tokens": 2}, "--max-tokens 2: "),
        ({"precision": "fp8"}, "--precision fp8: "),
        ({"device": "tpu"}, "--device tpu: "),
        ({"workers": -1}, "--workers -1: "),
        ({"rewind-step": 5}, "--rewind-step can only be used with --rewind late"),
        ({"rewind": "late", "rewind-step": 0}, "--rewind-step 0: "),
        (
            {"pretrained-answers": "a"},
            "--pretrained-answers can only be used with --keep-answer-head",
        ),
        ({"model": "a", "model-config": "small"}, "give either --model"),
        ({"data": "."}, "give either --model"),
        ({"data": "absent/data"}, "--data absent/data: there is no such dataset folder"),
        ({"data": "absent", "model": "a", "model-config": "small"}, "--data absent: there is no"),
        (
            {"model-config": "small", "keep-answer-head": True},
            "--keep-answer-head needs a pre-trained --model",
        ),
        ({"sparsty": 0.5}, "unknown setting 'sparsty'"),
        ({"batch_size": 5}, "unknown setting 'batch_size'"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PruneConfig.parse(settings)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_yaml_file(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("# mine\nsparsity: 0.7\nbatch_size: 16\nlearning-rate: 1e-4\n")
    settings = read_settings(path)
    assert settings == {"sparsity": "0.7", "batch-size": "16", "learning-rate": "1e-4"}
    config = PruneConfig.parse(settings)
    assert (config.sparsity, config.batch_size, config.learning_rate) == (0.7, 16, 1e-4)


@pytest.mark.parametrize(
    "text", ["2024", "0x10", "1_000", "yes", "2024-05-01", ".5", "~x", "=", "<<"]
)
def test_names_in_a_yaml_file_are_text(text: str, tmp_path: Path) -> None:
    """YAML reads many a name as a number, a date or a truth value."""
    path = tmp_path / "run.yaml"
    path.write_text(f"output: {text}\ndata: {text}\n")
    assert read_settings(path) == {"output": text, "data": text}


def test_values_in_a_yaml_file_keep_their_types(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(
        "seed: 010\nepochs: 1.0\nsparsity: .5\nkeep-answer-head: no\nenforce_mask: 'no'\n"
        "rewind-step:\nworkers: null\ntokenizer: ~\n"
    )
    config = PruneConfig.parse(read_settings(path))
    assert (config.seed, config.epochs, config.sparsity) == (10, 1, 0.5)
    assert config.keep_answer_head is config.enforce_mask is False
    assert config.rewind_step is config.workers is config.tokenizer is None


def test_a_yaml_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(b"\xef\xbb\xbfsparsity: 0.7\n")
    assert PruneConfig.parse(read_settings(path)).sparsity == 0.7


def test_a_runs_config_as_yaml(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    config = PruneConfig.parse(FULL)
    path.write_text(yaml.safe_dump(config.dump()))
    assert PruneConfig.parse(read_settings(path)) == config


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"sparsity: [0.5", "is not valid YAML"),
        (b"a: b: c", "is not valid YAML"),
        (b"\xff\xfe\x00", "is not valid YAML"),
        (b"- sparsity\n", "must map option names to values"),
        (b"", "must map option names to values"),
        (b"? [a, b]\n: 1\n", "is not valid YAML"),
        (b"a: " + b"[" * 5000 + b"]" * 5000, "is nested too deeply"),
        (b"a: !!python/object:os.system 1", "is not valid YAML"),
        (None, "cannot read --config .*: No such file"),
    ],
)
def test_unusable_yaml(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_settings(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_local_paths_are_stored_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a run can be used from another folder."""
    monkeypatch.chdir(tmp_path)
    for folder in ("vqa", "own", "bert"):
        Path(folder).mkdir()
    for file in ("all.json", "tiny.json"):
        Path(file).touch()
    given: dict[str, Any] = {"data": "vqa", "model": "own", "tokenizer": "./bert"}
    given |= {"tensorboard": "board", "keep-answer-head": True}
    given |= {"pretrained-answers": "vqa/../all.json"}
    stored = PruneConfig.parse(given).dump()
    assert (
        stored
        | {
            "data": str(tmp_path / "vqa"),
            "model": str(tmp_path / "own"),
            "tokenizer": str(tmp_path / "bert"),
            "tensorboard": str(tmp_path / "board"),
            "pretrained-answers": str(tmp_path / "all.json"),
        }
        == stored
    )
    for kind in (PruneConfig, PretrainConfig):
        config = kind.parse({"data": "vqa", "model-config": "tiny.json"})
        assert config.dump()["model-config"] == str(tmp_path / "tiny.json")
        assert kind.parse(config.dump()) == config


def test_names_that_are_no_paths_are_stored_as_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("shapes", "lxmert-shapes", "small"):
        Path(folder).mkdir()
    stored = PruneConfig.parse({}).dump()
    assert (stored["data"], stored["model"]) == ("shapes", "lxmert-shapes")
    assert PruneConfig.parse({"model-config": "small"}).dump()["model-config"] == "small"
    stored = PruneConfig.parse(FULL | {"tokenizer": "google-bert/bert-base-uncased"}).dump()
    assert stored["model"] == FULL["model"]
    assert stored["tokenizer"] == "google-bert/bert-base-uncased"
    # As a path, the same names are folders.
    stored = PruneConfig.parse({"data": "./shapes", "model": "./lxmert-shapes"}).dump()
    assert stored["data"] == str(tmp_path / "shapes")
    assert stored["model"] == str(tmp_path / "lxmert-shapes")


def test_a_linked_file_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hugging Face's cache keeps files as links to blobs that are named by their hash."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "0a1b2c").touch()
    Path("tiny.json").symlink_to("0a1b2c")
    config = PruneConfig.parse({"data": "vqa", "model-config": "tiny.json"})
    assert config.architecture == str(tmp_path / "tiny.json")


@pytest.mark.parametrize("name", ["caf\udce9", "\ud83d", "a\0b"])
@pytest.mark.parametrize("option", ["data", "model", "tokenizer", "tensorboard"])
def test_names_that_no_file_can_hold(option: str, name: str) -> None:
    """A name that is not UTF-8 could not be written into config.json."""
    with pytest.raises(ConfigError, match=f"--{option} .*: not a name in UTF-8") as caught:
        PruneConfig.parse(FULL | {option: name})
    str(caught.value).encode()


def test_pretraining_settings() -> None:
    assert PretrainConfig.parse({"model": "a"}).model == "a"
    config = PretrainConfig.parse({})
    assert (config.data, config.architecture) == ("shapes", "small")
    assert config.dump()["model-config"] == "small"
    with pytest.raises(ConfigError, match="unknown setting 'sparsity'"):
        PretrainConfig.parse({"sparsity": 0.5})
