"""Pipes, sockets and devices where a file belongs: refused at once, as reading could never end."""

import os
import socket
from pathlib import Path

import pytest
from call import Call

from exporters.graph.onnx_file import OnnxFile
from exporters.packing.safetensors_file import open_safetensors
from lxcompress.data.dataset_config import read_config
from lxcompress.data.regions.shards import open_shard
from lxcompress.data.regions.tsv_source import open_tsv
from lxcompress.errors import LxcompressError
from lxcompress.model.locate import locate
from lxcompress.pruning.mask import Mask
from lxcompress.system.files import check_regular, read_json
from lxcompress.system.settings_file import read_settings
from lxcompress.training.checkpoint import load_checkpoint
from lxcompress.vision.butd.architecture import Architecture
from lxcompress.vision.butd.weights import check_config
from lxcompress.vision.pictures import open_picture


@pytest.fixture(params=["pipe", "socket", "device"])
def special(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "special"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "socket":
        before = Path.cwd()
        os.chdir(tmp_path)  # a socket's path has at most 108 bytes
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
        os.chdir(before)
    else:
        path.symlink_to("/dev/zero")
    return path


def test_every_reader_refuses_them(special: Path) -> None:
    for read in (
        lambda: read_json(special, "result file"),
        lambda: read_settings(special),
        lambda: Mask.load(special, {}),
        lambda: load_checkpoint(special, {}),
        lambda: OnnxFile(special),
        lambda: open_safetensors(special).__enter__(),
        lambda: read_config(special),
        lambda: open_tsv(special).__enter__(),
        lambda: open_shard(special, 36, 2048),
        lambda: open_picture(special),
        lambda: check_config(special, Architecture()),
        lambda: locate(special),
        lambda: locate(special.parent),  # a model folder with one in it
    ):
        with pytest.raises(LxcompressError, match="is a pipe, a socket or a device; give a file"):
            read()


def test_what_a_shell_passes_by_number_is_read() -> None:
    """As in `lxcompress score <(zcat results.json.gz)`."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"[1]")
        os.close(writing)
        assert read_json(Path(f"/dev/fd/{reading}"), "result file") == [1]
    finally:
        os.close(reading)


def test_files_folders_and_missing_paths_pass(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("file", "link", "loop", "missing", "", "x" * 300, "nul\0"):
        check_regular(tmp_path / name)


def test_commands_end_in_one_line(call: Call, special: Path, tiny_data: Path) -> None:
    model = special.parent
    for arguments in (
        ("prune", "--config", special),
        ("prune", "--data", tiny_data, "--model", model, "--output", model / "out"),
        ("evaluate", model, "--data", tiny_data),
        ("verify", special),
        ("pack", model, "--output", model / "out"),
    ):
        code, _, err = call(*arguments)
        assert code == 2 and err.startswith("error: ") and err.count("\n") == 1, arguments
