"""What can be exported: a run, a ticket, any LXMERT; anything else is rejected in one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from exported import FILES

from exporters.records import Provenance
from exporters.source import Source, open_questions
from exporters.variants import VARIANTS
from lxcompress.errors import ConfigError, DataError, LxcompressError, ModelError, RunError
from lxcompress.model.lxmert import read_config
from lxcompress.model.tokenizer import load_tokenizer
from lxcompress.system.files import sha256

DENSE, SPARSE = [*FILES][:3], [*FILES][3:]


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


# -- Runs and model folders -------------------------------------------------------------------


def test_a_run(tiny_run: Path, tiny_data: Path) -> None:
    source = Source.of(tiny_run, None, None)
    assert source == Source(
        tiny_run / "dense", tiny_run / "ticket", tiny_run / "onnx", str(tiny_data), 20
    )
    assert [variant.name for variant in source.variants([])] == [*DENSE, *SPARSE]
    folders = {variant.name: source.model_folder(variant).name for variant in source.variants([])}
    assert folders == {**dict.fromkeys(DENSE, "dense"), **dict.fromkeys(SPARSE, "ticket")}


def test_settings_are_those_of_the_run(run: Path) -> None:
    settings = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(settings | {"max-tokens": 13, "data": "shapes"}))
    source = Source.of(run, None, None, run / "elsewhere")
    assert (source.data, source.max_tokens, source.onnx) == ("shapes", 13, run / "elsewhere")


def test_any_model_folder(tiny_model: Path) -> None:
    source = Source.of(tiny_model, "some/data", None)
    assert source == Source(tiny_model, None, tiny_model / "onnx", "some/data", 20)
    assert [variant.name for variant in source.variants([])] == DENSE
    other = Source.of(tiny_model, "some/data", 9, Path("files"))
    assert (other.max_tokens, other.onnx) == (9, Path("files"))


def test_a_ticket_folder(tiny_run: Path) -> None:
    ticket = tiny_run / "ticket"
    source = Source.of(ticket, "some/data", None)
    assert (source.dense, source.ticket) == (None, ticket)
    assert [variant.name for variant in source.variants([])] == SPARSE


def test_the_dense_folder_of_a_run(tiny_run: Path) -> None:
    source = Source.of(tiny_run / "dense", "some/data", None)
    assert [variant.name for variant in source.variants([])] == DENSE


def remove(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink()


@pytest.mark.parametrize(
    ("change", "path", "data", "max_tokens", "error", "message"),
    [
        (None, "nowhere", None, None, ModelError, "nowhere is neither a run directory nor a model"),
        (None, "result.json", None, None, ModelError, "result.json is neither a run directory"),
        (None, "logs", "d", None, ModelError, "logs is not a model folder: it has no config.json"),
        (None, "", "d", None, ConfigError, "a run has its own data and settings; leave out --data"),
        (None, "", None, 9, ConfigError, "a run has its own data and settings"),
        (remove("result.json"), "", None, None, RunError, "has no finished ticket; `lxcompress pr"),
        (
            remove("config.json"),
            "",
            None,
            None,
            RunError,
            "is not a run directory: it has no config",
        ),
    ],
)
def test_paths_and_options_that_are_rejected(
    run: Path,
    change: Callable[[Path], Any] | None,
    path: str,
    data: str | None,
    max_tokens: int | None,
    error: type[LxcompressError],
    message: str,
) -> None:
    if change:
        change(run)
    with pytest.raises(error, match=message):
        Source.of(run / path, data, max_tokens)


def test_a_run_whose_settings_are_damaged(run: Path) -> None:
    for text in ("{", '{"data": "shapes", "sparsity": 7}'):
        (run / "config.json").write_text(text)
        with pytest.raises(LxcompressError) as caught:
            Source.of(run, None, None)
        assert "\n" not in str(caught.value)


# -- The dataset ------------------------------------------------------------------------------


def test_the_data_of_a_run(run: Path, tiny_data: Path, tmp_path: Path) -> None:
    """An export is compared with its run, so both must use the same data."""
    assert Source.of(run, None, None).dataset.folder == tiny_data
    other = Path(shutil.copytree(tiny_data, tmp_path / "other"))
    settings = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(settings | {"data": str(other)}))
    assert Source.of(run, None, None).dataset.folder == other  # moved, but the same
    path = other / "val_annotations.json"
    path.write_text(path.read_text().replace('"yes"', '"no"'))
    message = f"the data in {other} are not those that the run in {run} was made with"
    source = Source.of(run, None, None)
    with pytest.raises(DataError, match=message):
        source.provenance(VARIANTS["fp32"], "cpu")
    with pytest.raises(DataError, match=message):
        open_questions(source, read_config(run / "dense"), load_tokenizer(run / "dense"))
    shutil.rmtree(other)
    with pytest.raises(DataError, match=f"^{other}, the data that the run in {run} was made with,"):
        Source.of(run, None, None).dataset  # noqa: B018


def test_the_data_of_a_model_folder(tiny_model: Path, tiny_data: Path) -> None:
    source = Source.of(tiny_model, str(tiny_data), None)
    assert source.dataset is source.dataset
    assert source.dataset.folder == tiny_data


# -- Variants ---------------------------------------------------------------------------------


def test_variants_in_the_requested_order(tiny_run: Path) -> None:
    source = Source.of(tiny_run, None, None)
    found = source.variants(["sparse-int8", "fp16", "sparse-int8"])
    assert found == [VARIANTS["sparse-int8"], VARIANTS["fp16"]]


def test_an_unknown_variant(tiny_run: Path) -> None:
    with pytest.raises(ConfigError, match="^--variant int4: choose fp32, fp16, int8, sparse-fp32,"):
        Source.of(tiny_run, None, None).variants(["fp32", "int4"])


def test_variants_without_a_model(tiny_model: Path, tiny_run: Path) -> None:
    message = "^--variant sparse-int8 needs a mask, which is not there; choose fp32, fp16, int8$"
    with pytest.raises(ConfigError, match=message):
        Source.of(tiny_model, "d", None).variants(["fp32", "sparse-int8"])
    message = "^--variant fp16 needs an unpruned model, .*; choose sparse-fp32, sparse-fp16, sp"
    with pytest.raises(ConfigError, match=message):
        Source.of(tiny_run / "ticket", "d", None).variants(["fp16"])


# -- Provenance -------------------------------------------------------------------------------


def test_provenance_covers_what_a_file_depends_on(run: Path) -> None:
    source = Source.of(run, None, None)
    dense, sparse = VARIANTS["fp16"], VARIANTS["sparse-int8"]
    before = source.provenance(dense, "cpu"), source.provenance(sparse, "cpu")
    assert before[0].files["model.safetensors"] == sha256(run / "dense" / "model.safetensors")
    assert before[1].files.keys() >= {
        "model.safetensors",
        "mask.safetensors",
        "config.json",
        "tokenizer.json",
    }
    assert source.provenance(VARIANTS["fp32"], "cpu") == before[0]  # same model
    assert [Provenance.model_validate_json(it.model_dump_json()) for it in before] == [*before]

    (run / "ticket" / "README.txt").write_text("notes")
    (run / "result.json").write_text("{}")
    assert (source.provenance(dense, "cpu"), source.provenance(sparse, "cpu")) == before
    for name in ("mask.safetensors", "tokenizer.json", "config.json", "model.safetensors"):
        path = run / "ticket" / name
        content = path.read_bytes()
        path.write_bytes(content + b" ")
        assert (
            source.provenance(sparse, "cpu") != before[1]
            and source.provenance(dense, "cpu") == before[0]
        )
        path.write_bytes(content)
    other = Source(source.dense, source.ticket, source.onnx, source.data, 9)
    assert other.provenance(dense, "cpu") != before[0]
    assert source.provenance(dense, "cuda") != before[0]
    other = Source(source.dense, source.ticket, run / "other", source.data, 20)
    assert other.provenance(dense, "cpu") == before[0]


# -- Questions to check with ------------------------------------------------------------------


def test_questions(tiny_run: Path) -> None:
    source = Source.of(tiny_run, None, None)
    ticket = tiny_run / "ticket"
    found = open_questions(source, read_config(ticket), load_tokenizer(ticket))
    assert len(found) == 120 and found.lengths.max() <= 20
    short = Source(source.dense, source.ticket, source.onnx, source.data, 7)
    found = open_questions(short, read_config(ticket), load_tokenizer(ticket))
    assert len(found) == 120 and found.lengths.max() == 7


def test_data_without_validation_questions(tiny_run: Path, tiny_data: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    described = yaml.safe_load((data / "dataset.yaml").read_text())
    del described["val"]
    (data / "dataset.yaml").write_text(yaml.safe_dump(described))
    ticket = tiny_run / "ticket"
    source = Source.of(ticket, str(data), None)
    with pytest.raises(DataError, match=r"has no `val:` split: .*dataset\.yaml"):
        open_questions(source, read_config(ticket), load_tokenizer(ticket))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"visual_feat_dim": 3}, "the model takes regions of 3"), ({"vocab_size": 9}, "the model 9")],
)
def test_data_that_do_not_fit_the_model(
    tiny_run: Path, change: dict[str, int], message: str
) -> None:
    ticket = tiny_run / "ticket"
    config = read_config(ticket)
    config.update(change)
    with pytest.raises(ModelError, match=message):
        open_questions(Source.of(tiny_run, None, None), config, load_tokenizer(ticket))


def test_missing_data(tiny_run: Path, tmp_path: Path) -> None:
    ticket = tiny_run / "ticket"
    source = Source.of(ticket, str(tmp_path / "nowhere"), None)
    with pytest.raises(LxcompressError, match="nowhere"):
        open_questions(source, read_config(ticket), load_tokenizer(ticket))
