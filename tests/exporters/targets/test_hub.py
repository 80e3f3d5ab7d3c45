"""A ticket's model repository for the Hub: its files, the command that writes it, its upload."""

import errno
import hashlib
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import _headers
from transformers import AutoTokenizer, LxmertForQuestionAnswering

import exporters.export
from exporters.records import EXPORT_REPORT, ExportReport
from exporters.source import Source
from exporters.targets import hub
from exporters.targets.hub import push, write_hub_folder
from lxcompress.data.dataset import Dataset
from lxcompress.errors import ConfigError, LxcompressError, ModelError
from lxcompress.model.lxmert import load_model
from lxcompress.run import Run
from lxcompress.system.files import read_json

pytestmark = pytest.mark.usefixtures("no_network")

JSON = dict[str, Any]
MODEL_FILES = {"config.json", "model.safetensors", "mask.safetensors"}
TOKENIZER_FILES = {"tokenizer.json", "tokenizer_config.json"}
ONNX_FILES = {"model_sparse.onnx", "model_sparse_int8.onnx"}

Command = Callable[..., tuple[int, str, str]]


def read_report(run: Run) -> JSON:
    """The report as JSON, which a test may change."""
    return read_json(run.onnx / EXPORT_REPORT, "report")


def write(run: Run, report: ExportReport, folder: Path) -> None:
    write_hub_folder(Source.of(run.folder, None, None), report, folder)


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def command(call: Command) -> Command:
    """Run `lxcompress export` in this process: exit code, output, errors."""
    return partial(call, "export")


def test_the_folder_contains_the_ticket_and_its_onnx_files_only(
    finished: Path, folder: Path
) -> None:
    files = content(folder)
    assert (finished / "onnx" / "model.onnx").exists()
    names = {f"onnx/{name}" for name in ONNX_FILES} | MODEL_FILES | TOKENIZER_FILES
    assert files.keys() == names | {"README.md"}
    for name in names:
        origin = finished if name.startswith("onnx/") else finished / "ticket"
        assert files[name] == (origin / name).read_bytes()
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".")] == []


def test_stock_libraries_compute_the_logits_of_the_ticket(
    finished: Path, folder: Path, tiny_dataset: Dataset
) -> None:
    """In stock transformers and stock ONNX Runtime."""
    split = tiny_dataset.split("val")
    question = split.questions[0]
    regions = split.regions.gather([question.image_id])
    inputs = {
        "visual_feats": regions.features.astype(np.float32),
        "visual_pos": regions.boxes,
        "visual_attention_mask": np.ones(regions.features.shape[:2], np.int64),
    }
    tokens = AutoTokenizer.from_pretrained(folder)(question.text, return_tensors="np")
    inputs |= {name: array.astype(np.int64) for name, array in tokens.items()}
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    models = [LxmertForQuestionAnswering.from_pretrained(folder), load_model(finished / "ticket")]
    with torch.inference_mode():
        logits, expected = (model.eval()(**tensors).question_answering_score for model in models)
    assert torch.allclose(logits, expected, atol=1e-6)
    session = onnxruntime.InferenceSession(str(folder / "onnx" / "model_sparse.onnx"))
    (onnx_logits,) = session.run(["logits"], inputs)
    assert np.allclose(onnx_logits, expected.numpy(), atol=1e-5)


def test_export_with_hub_uploads_nothing(
    command: Command, run: Run, tmp_path: Path, folder: Path
) -> None:
    """Any use of the network fails these tests."""
    hub_folder = tmp_path / "deep" / "ticket"
    code, out, err = command(run.folder, "--variant", "sparse-int8", "--hub", hub_folder)
    assert (code, err) == (0, "")
    assert f"model repository: {hub_folder}\nnext: hf upload OWNER/NAME {hub_folder}\n" in out
    written, before = content(hub_folder), content(folder)
    assert written.pop("README.md") != before.pop("README.md")  # its name differs
    del before["onnx/model_sparse.onnx"]  # not requested here
    assert written == before


def test_onnx_files_are_taken_from_the_output_folder(
    command: Command, run: Run, tmp_path: Path
) -> None:
    shutil.rmtree(run.onnx)
    code, _, err = command(
        *(run.folder, "--variant", "sparse-int8"),
        *("--output", tmp_path / "files", "--hub", tmp_path / "ticket"),
    )
    assert (code, err) == (0, "")
    onnx = content(tmp_path / "ticket" / "onnx")
    assert onnx.keys() == {"model_sparse_int8.onnx"}
    assert "model_sparse.onnx" not in (tmp_path / "ticket" / "README.md").read_text()


def test_wrong_options_are_rejected_before_the_export(
    command: Command, run: Run, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start_export(*arguments: object) -> None:
        raise AssertionError("the export has started")

    monkeypatch.setattr(exporters.export, "export", start_export)
    for name in ("folder", "file", "link", "output"):
        (tmp_path / name).symlink_to("nowhere") if name == "link" else (tmp_path / name).touch()
    (tmp_path / "folder").unlink()
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    new = tmp_path / "new"
    cases: list[tuple[list[object], str]] = [
        *(([run.folder, "--hub", tmp_path / n], f"{tmp_path / n} exists already; choose another")
          for n in ("folder", "file", "link")),
        ([run.folder, "--hub", tmp_path / "file" / "x"], "x cannot be written to ("),
        ([run.folder, "--hub", run.ticket / "x"], f"/x overlaps with {run.ticket}"),
        ([run.folder, "--hub", new, "--output", new], f"overlaps with {new}; choose another --hub"),
        ([run.folder, "--hub", new, "--output", new / "a"], f"overlaps with {new}/a; choose"),
        ([run.folder, "--hub", new, "--variant", "fp32"], "needs a file of the ticket"),
        ([run.folder, "--hub", new, "--variant", "zzz"], "--variant zzz: choose fp32"),
        ([run.ticket, "--hub", run.ticket / "onnx"], "overlaps with"),
        ([run.dense, "--hub", run.dense / "hub"], f"/hub overlaps with {run.dense}"),
        ([tmp_path / "none", "--hub", new], "is neither a run directory nor a model folder"),
        ([run.folder, "--push", "a/b"], "--push needs --hub, the folder to upload"),
        ([run.folder, "--hub", new, "--push", "ticket"], "--push ticket: give OWNER/NAME"),
        ([run.folder, "--hub", new, "--push", "a/b/c"], "--push: Repo id must be in the form"),
        ([run.folder, "--hub", new, "--push", "a b/c"], "--push: Repo id must use alphanumeric"),
        ([run.folder, "--hub", new, "--push", "a/b.git"], "--push: Repo_id cannot end by '.git'"),
    ]  # fmt: skip
    for arguments, message in cases:
        code, out, err = command(*arguments)
        assert (code, out) == (2, ""), arguments
        assert err.startswith("error: ") and err.count("\n") == 1, err
        assert message in err
    assert sorted(tmp_path.rglob("*")) == before


def test_files_of_another_ticket_are_left_out(run: Run, tmp_path: Path) -> None:
    report = read_report(run)
    report["files"]["model_sparse.onnx"]["made_of"]["files"]["mask.safetensors"] = "0" * 64
    write_hub_folder(
        Source.of(run.folder, None, None), ExportReport.model_validate(report), tmp_path / "one"
    )
    assert [path.name for path in (tmp_path / "one" / "onnx").iterdir()] == [
        "model_sparse_int8.onnx"
    ]
    del report["files"]["model_sparse_int8.onnx"]
    with pytest.raises(ConfigError, match="has no file of this ticket"):
        write_hub_folder(
            Source.of(run.folder, None, None),
            ExportReport.model_validate(report),
            tmp_path / "none",
        )
    assert not (tmp_path / "none").exists()


def test_a_failed_write_leaves_nothing_behind(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = ExportReport.read(run.onnx)
    before = sorted(tmp_path.rglob("*"))
    damaged = run.onnx / "model_sparse_int8.onnx"
    content_before = damaged.read_bytes()
    damaged.write_bytes(content_before[:-1] + b"\0\0")
    with pytest.raises(ModelError, match=r"int8.onnx is not the file that was checked"):
        write(run, report, tmp_path / "hub")
    damaged.write_bytes(content_before)

    def full(source: Path, target: Path) -> None:
        if target.suffix == ".onnx":
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(LxcompressError, match="no space left on the disk while writing"):
            write(run, report, tmp_path / "hub")
    assert sorted(tmp_path.rglob("*")) == before
    write(run, report, tmp_path / "hub")
    with pytest.raises(LxcompressError, match="there is a folder of that name"):
        write(run, report, tmp_path / "hub")


def test_external_data_are_copied(run: Run, tmp_path: Path) -> None:
    report = read_report(run)
    (run.onnx / "model_sparse.onnx_data").write_bytes(b"weights")
    report["files"]["model_sparse.onnx"]["sha256"] += " " + hashlib.sha256(b"weights").hexdigest()
    write_hub_folder(
        Source.of(run.folder, None, None), ExportReport.model_validate(report), tmp_path / "hub"
    )
    assert (tmp_path / "hub" / "onnx" / "model_sparse.onnx_data").read_bytes() == b"weights"


Call = tuple[str, tuple[Any, ...], JSON]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Calls of huggingface_hub's HfApi, which is replaced."""
    recorded: list[Call] = []

    class Api:
        def __init__(self, **options: Any) -> None:
            assert options.keys() == {"token", "library_name", "library_version"}
            assert options["token"] is True

        def create_repo(self, *arguments: Any, **options: Any) -> str:
            recorded.append(("create_repo", arguments, options))
            return f"https://huggingface.co/{arguments[0]}"

        def upload_folder(self, *arguments: Any, **options: Any) -> None:
            recorded.append(("upload_folder", arguments, options))

    monkeypatch.setattr(hub, "HfApi", Api)
    return recorded


def test_push_creates_the_repository_and_uploads(
    command: Command, run: Run, tmp_path: Path, calls: list[Call]
) -> None:
    hub_folder = tmp_path / "ticket"
    code, out, err = command(
        *(run.folder, "--variant", "sparse-int8", "--hub", hub_folder, "--push", "ann/ticket-30")
    )
    assert (code, err) == (0, "")
    assert out.endswith("uploaded: https://huggingface.co/ann/ticket-30\n")
    create, upload = calls
    assert create == ("create_repo", ("ann/ticket-30",), {"exist_ok": True})
    assert upload[:2] == ("upload_folder", ())
    assert upload[2].pop("commit_message").startswith("Upload a model by lxcompress ")
    assert upload[2] == {"repo_id": "ann/ticket-30", "folder_path": hub_folder}


def http_error(status: int, message: str) -> HfHubHTTPError:
    response: Any = SimpleNamespace(status_code=status, headers={}, request=None)
    return HfHubHTTPError(message, response=response)


FAILURES: list[tuple[Exception, str]] = [
    (http_error(401, "401 Client Error.\n\nInvalid username."), "401 Client Error. Invalid usern"),
    (http_error(403, "403 Forbidden:\nYou may not."), "403 Forbidden: You may not; "),
    (ConnectionError("[Errno -2] Name or service not known"), "Name or service not known; "),
    (RuntimeError(), "RuntimeError; "),
]


@pytest.mark.parametrize("method", ["create_repo", "upload_folder"])
@pytest.mark.parametrize(("problem", "message"), FAILURES)
def test_a_failed_upload_is_a_one_line_error(
    method: str,
    problem: Exception,
    message: str,
    command: Command,
    run: Run,
    tmp_path: Path,
    calls: list[Call],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise problem

    monkeypatch.setattr(hub.HfApi, method, fail)
    hub_folder = tmp_path / "my ticket"
    code, out, err = command(
        *(run.folder, "--variant", "sparse-int8", "--hub", hub_folder, "--push", "ann/ticket")
    )
    assert code == 2 and f"model repository: {hub_folder}\n" in out and "uploaded" not in out
    assert err.startswith("error: cannot upload to ann/ticket: ") and err.count("\n") == 1
    assert message in err
    assert err.endswith(
        f"; {hub_folder} is complete, upload it later with `hf upload ann/ticket '{hub_folder}'`\n"
    )
    assert (hub_folder / "README.md").exists()


@pytest.mark.parametrize(
    ("token", "message"), [(None, "no token found"), ("hf_x", "offline mode is enabled")]
)
def test_errors_of_huggingface_hub_are_reported(
    token: str | None, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a token, and (as all tests run) in offline mode."""
    monkeypatch.setattr(_headers, "get_token", lambda: token)
    with pytest.raises(LxcompressError, match=message) as problem:
        push(folder, "ann/ticket")
    assert "\n" not in str(problem.value) and "hf_x" not in str(problem.value)
    with pytest.raises(LxcompressError, match="cannot upload to a b/c: "):
        push(folder, "a b/c")
