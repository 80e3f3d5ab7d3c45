"""ONNX files read piece by piece: as the library `onnx` reads them, or rejected with a message."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from exported import same_bits, stock
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import ModelProto, TensorProto, helper, numpy_helper

from exporters.graph import onnx_file
from exporters.graph.onnx_file import OnnxFile, data_file, write_model
from lxcompress.errors import LxcompressError, ModelError

LARGE = 1024  # bytes; larger tensors are read on demand
DTYPES = ("f4", "f2", "f8", "i1", "u1", "i4", "i8", "u8", "?")


def tensor(name: str, array: np.ndarray) -> TensorProto:
    return numpy_helper.from_array(array, name)


def random_array(dtype: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Arbitrary bits, except for bool, which has two values."""
    random = np.random.default_rng(seed)
    if dtype == "?":
        return random.random(shape) < 0.5
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return random.integers(0, 256, size, np.uint8).view(dtype).reshape(shape)


def model_of(tensors: list[TensorProto], **metadata: str) -> ModelProto:
    """A model that outputs each of its initializers."""
    nodes, outputs = [], []
    for each in tensors:
        nodes.append(helper.make_node("Identity", [each.name], [f"{each.name}.out"]))
        outputs.append(helper.make_tensor_value_info(f"{each.name}.out", each.data_type, each.dims))
    if not nodes:
        nodes.append(helper.make_node("Constant", [], ["one"], value_float=1.0))
        outputs.append(helper.make_tensor_value_info("one", TensorProto.FLOAT, []))
    graph = helper.make_graph(nodes, "some", [], outputs, tensors, doc_string="ä" * 200)
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("other", 300)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    helper.set_model_props(model, metadata)
    return model


@st.composite
def models(draw: st.DrawFn) -> ModelProto:
    """Tensors above and below the limit, some with values that are not raw bytes."""
    tensors = []
    for number in range(draw(st.integers(0, 4))):
        dtype = draw(st.sampled_from(DTYPES))
        shape = draw(
            st.one_of(
                arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
                st.sampled_from([(LARGE,), (LARGE + 1,), (32, 32), (31, 9, 4), (600,)]),
            )
        )
        array = random_array(dtype, shape, draw(st.integers(0, 99)))
        if dtype == "f4" and draw(st.booleans()):
            array = np.nan_to_num(array, posinf=0, neginf=0)
            tensors.append(
                helper.make_tensor(f"t{number}", TensorProto.FLOAT, shape, array.flatten().tolist())
            )
        else:
            tensors.append(tensor(f"t{number}", array))
    key = draw(st.text(st.characters(codec="utf-8"), min_size=1, max_size=9))
    return model_of(tensors, **{key: draw(st.text(st.characters(codec="utf-8"), max_size=200))})


def check_equal(file: OnnxFile, expected: ModelProto) -> None:
    """Check that `file` is what `onnx` reads from the same bytes."""
    assert list(file.tensors) == [each.name for each in expected.graph.initializer]
    for each in expected.graph.initializer:
        assert same_bits(file.array(each.name), numpy_helper.to_array(each))
    rest = ModelProto()
    rest.CopyFrom(expected)
    for each in rest.graph.initializer:
        if len(each.raw_data) > LARGE:
            each.ClearField("raw_data")
    assert file.model == rest
    assert file.metadata == {item.key: item.value for item in expected.metadata_props}


# -- Reading ----------------------------------------------------------------------------------


@settings(max_examples=120, deadline=None)
@given(models())
def test_equals_onnx(tmp_path_factory: pytest.TempPathFactory, model: ModelProto) -> None:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    path.write_bytes(model.SerializeToString())
    file = OnnxFile(path)
    check_equal(file, onnx.load(path))
    check_equal(file, model)
    assert file.stored_bytes() == path.stat().st_size
    # Large weights are not in memory.
    assert all(len(each.raw_data) <= LARGE for each in file.model.graph.initializer)


def test_types_that_numpy_lacks(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    array = random.standard_normal((40, 40)).astype(ml_dtypes.bfloat16)
    path = tmp_path / "model.onnx"
    path.write_bytes(model_of([tensor("w", array)]).SerializeToString())
    assert same_bits(OnnxFile(path).array("w"), numpy_helper.to_array(tensor("w", array)))


EXAMPLE = model_of(
    [
        tensor("large", random_array("f4", (20, 20), 0)),
        tensor("small", random_array("f4", (3,), 1)),
        tensor("half", random_array("f2", (30, 20), 2)),
    ],
    first="one",
    second="two" * 50,
)


def test_cut_off_anywhere(tmp_path: Path) -> None:
    """After any field, what is left is a shorter valid message, and `onnx` reads it too."""
    path, whole = tmp_path / "model.onnx", EXAMPLE.SerializeToString()
    accepted = []
    for length in {*range(0, len(whole), 13), *range(len(whole) - 300, len(whole))}:
        path.write_bytes(whole[:length])
        try:
            file = OnnxFile(path)
        except ModelError as problem:
            assert str(path) in str(problem)
        else:
            accepted.append(length)
            check_equal(file, onnx.load_model_from_string(whole[:length]))
    # Only fields after the graph can be lost, and our metadata and functions are among them.
    assert len(accepted) <= 4 and all(length > len(whole) - 300 for length in accepted)


@settings(max_examples=300, deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_any_changed_byte(
    tmp_path_factory: pytest.TempPathFactory, position: float, flip: int
) -> None:
    """Either the file is rejected, or every tensor can be read."""
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    content = bytearray(EXAMPLE.SerializeToString())
    content[int(position * len(content))] ^= flip
    path.write_bytes(content)
    try:
        file = OnnxFile(path)
        for name in file.tensors:
            file.array(name)
    except ModelError as problem:
        assert "\n" not in str(problem)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not an ONNX file"):
        OnnxFile(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is truncated or not an ONNX file"),
        (b"hello, world\n", "not an ONNX file"),
        ("Übermäßig".encode(), "not an ONNX file"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0", "not an ONNX file"),
        (b'{"model_type": "lxmert"}', "not an ONNX file"),
        (b"\x80\x04K\x01.", "not an ONNX file"),
        (b"\0" * 5000, "not an ONNX file"),
        (b"\xff" * 5000, "not an ONNX file"),
        (ModelProto(ir_version=10).SerializeToString(), "is not an ONNX file: it has no graph"),
        (ModelProto().SerializeToString(), "not an ONNX file"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        OnnxFile(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="^ONNX file not found: .*nowhere$"):
        OnnxFile(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="^ONNX file expected, but this is a folder: "):
        OnnxFile(tmp_path)


@pytest.mark.parametrize("dtype", [TensorProto.UNDEFINED, TensorProto.STRING, 99])
@pytest.mark.parametrize("size", [10, 1000])
def test_tensors_of_another_type_or_size_than_stated(tmp_path: Path, dtype: int, size: int) -> None:
    broken = TensorProto(name="w", dims=[size], data_type=dtype, raw_data=b"x" * 4 * size)
    short = TensorProto(name="v", dims=[size], data_type=TensorProto.FLOAT, raw_data=b"x" * 3)
    path = tmp_path / "model.onnx"
    for wrong in (broken, short):
        model = model_of([tensor("fine", np.zeros(1))])
        model.graph.initializer.append(wrong)
        path.write_bytes(model.SerializeToString())
        with pytest.raises(ModelError, match=f"is damaged: {wrong.name} "):
            OnnxFile(path).array(wrong.name)


# -- Writing ----------------------------------------------------------------------------------


def test_one_file_below_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "model.onnx"
    write_model(EXAMPLE, path)
    assert [found.name for found in path.parent.iterdir()] == ["model.onnx"]
    check_equal(OnnxFile(path), EXAMPLE)
    assert onnx.load(path) == EXAMPLE


@pytest.fixture
def divided(tmp_path: Path) -> Path:
    """A model whose large weights lie in a file of their own."""
    model, path = ModelProto(), tmp_path / "model.onnx"
    model.CopyFrom(EXAMPLE)
    write_model(model, path, limit=2000)
    return path


def test_external_data(divided: Path) -> None:
    assert data_file(divided) == divided.with_name("model.onnx_data")
    assert {found.name for found in divided.parent.iterdir()} == {"model.onnx", "model.onnx_data"}
    file = OnnxFile(divided)
    for each in EXAMPLE.graph.initializer:
        assert same_bits(file.array(each.name), numpy_helper.to_array(each))
    sizes = [found.stat().st_size for found in (divided, data_file(divided))]
    assert file.stored_bytes() == sum(sizes)
    assert sizes[0] < 1500 and sizes[1] >= 1600 + 1200
    # onnx and ONNX Runtime read the same.
    for each, other in zip(
        EXAMPLE.graph.initializer, onnx.load(divided).graph.initializer, strict=True
    ):
        assert same_bits(numpy_helper.to_array(other), numpy_helper.to_array(each))
    onnx.checker.check_model(str(divided), full_check=True)
    for each, found in zip(EXAMPLE.graph.initializer, stock(divided).run(None, {}), strict=True):
        assert same_bits(found, numpy_helper.to_array(each))
    # ONNX Runtime maps the file if every tensor starts at a page boundary.
    (info,) = [
        {entry.key: entry.value for entry in each.external_data}
        for each in file.model.graph.initializer
        if each.name == "half"
    ]
    assert info["location"] == "model.onnx_data" and int(info["offset"]) % 4096 == 0


@settings(max_examples=40, deadline=None)
@given(model=models(), limit=st.sampled_from([0, 1500, 5000]))
def test_any_limit(tmp_path_factory: pytest.TempPathFactory, model: ModelProto, limit: int) -> None:
    expected, path = ModelProto(), tmp_path_factory.mktemp("onnx") / "model.onnx"
    expected.CopyFrom(model)
    large = [len(t.raw_data) for t in model.graph.initializer if len(t.raw_data) > LARGE]
    write_model(model, path, limit=limit)
    assert data_file(path).exists() == (sum(large) > limit)
    file, read = OnnxFile(path), onnx.load(path)
    for each, other in zip(expected.graph.initializer, read.graph.initializer, strict=True):
        array = numpy_helper.to_array(each)
        assert same_bits(file.array(each.name), array)
        assert same_bits(numpy_helper.to_array(other), array)


# -- External data ----------------------------------------------------------------------------

Info = dict[str, str]


def edit(path: Path, change: Callable[[Info], Any]) -> None:
    """Change where the file says that its first weight is stored."""
    model = onnx.load(path, load_external_data=False)
    found = model.graph.initializer[0]
    info = {entry.key: entry.value for entry in found.external_data}
    change(info)
    del found.external_data[:]
    for key, value in info.items():
        found.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    "location",
    [
        "../secret",
        "/etc/passwd",
        "sub/../../secret",
        "link",
        "sub/inside",
        "..",
        ".",
        "",
        "model.onnx",
    ],
)
def test_only_files_beside_the_model_are_read(divided: Path, location: str) -> None:
    folder = divided.parent
    (folder.parent / "secret").write_bytes(b"s" * 9999)
    (folder / "sub").mkdir()
    (folder / "sub" / "inside").write_bytes(b"i" * 9999)
    (folder / "link").symlink_to("../secret")
    edit(divided, lambda info: info.update(location=location))
    with pytest.raises(ModelError, match="outside its own folder; not read") as caught:
        OnnxFile(divided)
    assert str(divided) in str(caught.value) and repr(location) in str(caught.value)


def test_a_snapshot_of_hugging_faces_cache(divided: Path) -> None:
    """Its files are links to blobs, all in one folder."""
    blobs = divided.parent.parent / "blobs"
    blobs.mkdir()
    for number, path in enumerate((divided, data_file(divided))):
        path.rename(blobs / f"{number}")
        path.symlink_to(f"../blobs/{number}")
    file = OnnxFile(divided)
    assert same_bits(file.array("large"), numpy_helper.to_array(EXAMPLE.graph.initializer[0]))
    assert file.stored_bytes() == sum(path.stat().st_size for path in blobs.iterdir())
    # A link elsewhere is none of its files, nor is a blob that the model names itself.
    (blobs.parent / "secret").write_bytes((blobs / "1").read_bytes())
    data_file(divided).unlink()
    data_file(divided).symlink_to("../secret")
    with pytest.raises(ModelError, match="outside its own folder; not read"):
        OnnxFile(divided)


def test_a_link_within_the_folder(divided: Path) -> None:
    data_file(divided).rename(divided.parent / "other")
    data_file(divided).symlink_to("other")
    assert same_bits(
        OnnxFile(divided).array("large"), numpy_helper.to_array(EXAMPLE.graph.initializer[0])
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: data_file(path).unlink(), "lacks its external data, .*model.onnx_data"),
        (lambda path: os.truncate(data_file(path), 4097), "half ends after the file's end"),
        (lambda path: os.truncate(data_file(path), 100), "large ends after the file's end"),
        (
            lambda path: edit(path, lambda info: info.update(length="99999")),
            "large ends after the file's end",
        ),
        (
            lambda path: edit(path, lambda info: info.update(offset="-4")),
            "is damaged: large",
        ),
        (
            lambda path: edit(path, lambda info: info.update(length="-4")),
            "is damaged: large",
        ),
        (
            lambda path: edit(path, lambda info: info.update(offset="99999999999999999999")),
            "large ends after the file's end",
        ),
        (lambda path: edit(path, lambda info: info.update(offset="four")), "is damaged: large"),
        (lambda path: edit(path, lambda info: info.update(length="")), "is damaged: large"),
        (lambda path: edit(path, lambda info: info.update(location="a\0b")), "is damaged: large"),
        (lambda path: edit(path, lambda info: info.update(location="a" * 999)), "large"),
        (lambda path: edit(path, lambda info: info.pop("location")), "outside its own folder"),
    ],
)
def test_impossible_external_data(
    divided: Path, change: Callable[[Path], Any], message: str
) -> None:
    change(divided)
    with pytest.raises(ModelError, match=message):
        OnnxFile(divided)


def test_negative_dimensions(tmp_path: Path) -> None:
    model = model_of([tensor("fine", np.zeros(1))])
    wrong = TensorProto(name="w", dims=[-1000], data_type=TensorProto.FLOAT, raw_data=b"x" * 4000)
    model.graph.initializer.append(wrong)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="is damaged: w .4000 bytes for .-1000.."):
        OnnxFile(tmp_path / "model.onnx").array("w")


@pytest.mark.parametrize("length", ["1596", "1604", "0"])
def test_external_data_of_another_size(divided: Path, length: str) -> None:
    edit(divided, lambda info: info.update(length=length))
    with pytest.raises(ModelError, match=f"is damaged: large .{length} bytes for"):
        OnnxFile(divided).array("large")


# -- Failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, 10**9])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Writing to /dev/full fails for lack of space."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")

    def full(path: Path) -> Path:
        (path.parent / f".{path.name}.full").symlink_to("/dev/full")
        return path.parent / f".{path.name}.full"

    monkeypatch.setattr("lxcompress.system.files.temporary_name", full)
    model = ModelProto()
    model.CopyFrom(EXAMPLE)
    with pytest.raises(LxcompressError, match="no space left on the disk while writing"):
        write_model(model, tmp_path / "model.onnx", limit=limit)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    write_model(EXAMPLE, path)
    before = path.read_bytes()

    def fail(self: Path, content: bytes) -> int:
        with open(self, "wb") as file:
            file.write(content[:100])
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_model(EXAMPLE, path)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == before


def test_the_limit_is_below_protobufs() -> None:
    assert onnx_file._SINGLE_FILE_LIMIT < 2**31 - 1
