"""Which files of a run, a model or an exported file are served, and with which detector."""

import os
import shutil
from pathlib import Path

import onnx
import pytest
from hub_cache import BASE, VQA, add_repository, published_files, tokenizer_files, use_cache
from onnx import helper
from served import service_of

from app.answers.answering import open_answering
from app.answers.open_service import ServiceOptions, open_detector_of
from app.answers.served_files import ModelOptions, ServedFiles, find_newest_run
from app.answers.service import reply_to_json
from app.page import cards, html
from lxcompress.data.dataset import Dataset
from lxcompress.errors import ConfigError, ModelError, RunError
from lxcompress.model.tokenizer import build_tokenizer
from lxcompress.system.files import read_json, write_json
from lxcompress.vision.pixel import PixelDetector


def find(model: Path, **options: str) -> ServedFiles:
    return ServedFiles.find(str(model), ModelOptions(**options))


def test_the_most_recently_finished_run_is_found(tmp_path: Path) -> None:
    assert find_newest_run(tmp_path / "runs") is None
    settings = {"data": "shapes", "sparsity": 0.5, "subnetwork": "low"}
    names = ("old", "newest", "unfinished", "no-run", "not-sparse", "damaged")
    for number, name in enumerate(names):
        (tmp_path / "runs" / name).mkdir(parents=True)
        if name != "no-run":
            (tmp_path / "runs" / name / "theta0").mkdir()
        if name != "unfinished":
            result = tmp_path / "runs" / name / "result.json"
            result.write_text("{}")
            os.utime(result, (1000 + number, 1000 + number))
        if name not in ("no-run", "damaged"):
            config = settings | {"enforce-mask": name != "not-sparse"}
            write_json(tmp_path / "runs" / name / "config.json", config)
    (tmp_path / "runs" / "file").write_text("")
    assert find_newest_run(tmp_path / "runs") == tmp_path / "runs" / "newest"


def test_a_ticket_whose_weights_grew_back_is_not_served(tiny_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    settings = read_json(folder / "config.json", "settings")
    write_json(folder / "config.json", settings | {"enforce-mask": False})
    with pytest.raises(RunError, match="made with --no-enforce-mask: .*; give another run"):
        find(folder)


def test_missing_onnx_files_are_listed(tiny_exported: Path, tiny_run: Path, tmp_path: Path) -> None:
    assert find(tiny_exported).missing == []
    files = find(tiny_run)
    assert [file.name for file in files.missing] == ["model.onnx", "model_sparse_int8.onnx"]
    assert files.feature_size == find(tiny_exported).feature_size == PixelDetector.feature_size
    with pytest.raises(ModelError, match="is not a model folder: it has no config.json"):
        find(tmp_path)
    (tmp_path / "theta0").mkdir()
    with pytest.raises(RunError, match="no finished ticket.*--resume"):
        find(tmp_path)


def test_a_structured_ticket_is_compared_in_its_own_precision(run: Path) -> None:
    assert [variant.name for variant in find(run).variants] == ["fp32", "sparse-int8"]
    result = read_json(run / "result.json", "result")
    result["ticket"]["structure"] = [{"module": "a", "heads": [1, 2]}]
    write_json(run / "result.json", result)
    assert [variant.name for variant in find(run).variants] == ["int8", "sparse-int8"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "fp32"}, "--variant fp32: choose sparse-fp32, sparse-fp16, sparse-int8"),
        ({"dense_variant": "sparse-fp16"}, "--dense-variant sparse-fp16: choose fp32, fp16, int8"),
        ({"variant": "small"}, "--variant small"),
        ({"answers": "lxmert-vqa"}, "a run has its own answers; leave out --answers"),
        ({"tokenizer": "x"}, "a run has its own answers; leave out --tokenizer"),
    ],
)
def test_options_that_do_not_fit_a_run(
    tiny_exported: Path, options: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        find(tiny_exported, **options)


def test_options_that_do_not_fit_a_model_or_a_file(
    tiny_exported: Path, tiny_model: Path, tmp_path: Path
) -> None:
    file = tiny_exported / "onnx" / "model.onnx"
    for model, options, message in (
        (file, {"answers": "lxmert-vqa"}, "has its own answers; leave out --answers"),
        (file, {"variant": "fp16"}, "is one exported file; leave out --variant"),
        (tiny_model, {"dense_variant": "fp32"}, "is not a run, .*; leave out --dense-variant"),
        (tiny_model, {"variant": "sparse-fp32"}, "--variant sparse-fp32 needs a mask"),
    ):
        with pytest.raises(ConfigError, match=message):
            find(model, **options)
    with pytest.raises(ModelError, match="lists 3129 answers, the model's head has 3"):
        find(tiny_model, answers="lxmert-vqa")
    other = tmp_path / "other.onnx"
    value = helper.make_tensor_value_info("visual_feats", onnx.TensorProto.FLOAT, [])
    node = helper.make_node("Identity", ["visual_feats"], ["same"])
    onnx.save(helper.make_model(helper.make_graph([node], "scalar", [value], [])), other)
    with pytest.raises(ModelError, match="was not written by `lxcompress export`"):
        find(other)


def test_a_detector_that_does_not_fit_is_rejected(tiny_exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for path in tiny_exported.iterdir():
        if path.name != "result.json":
            (folder / path.name).symlink_to(path)
    result = read_json(tiny_exported / "result.json", "result")
    result["dataset"]["detector"] = None
    write_json(folder / "result.json", result)
    assert open_detector_of(find(folder), ServiceOptions()).name == "pixel"  # by its 107 features
    result["dataset"]["detector"] = "unheard-of"
    write_json(folder / "result.json", result)
    with pytest.raises(ConfigError, match="unheard-of"):
        open_detector_of(find(folder), ServiceOptions())
    with pytest.raises(ModelError, match="regions of 107 features, the detector butd gives 2048"):
        open_detector_of(find(tiny_exported), ServiceOptions(detector="butd"))


def test_a_model_folder_and_an_exported_file_answer_alone(tiny_exported: Path, scene: Path) -> None:
    """The ticket's folder is exported into the cache, once."""
    question = "is there a red circle?"
    files = [find(tiny_exported / "ticket"), find(tiny_exported / "onnx" / "model_sparse.onnx")]
    assert [len(one.missing) for one in files] == [1, 0]
    probabilities = []
    for one in files:
        service = service_of(one.name)
        reply = service.ask(scene, question)
        assert reply.main and reply.dense is None and reply.agree is None
        probabilities.append([share for _, share in reply.main.likeliest])
        model = open_answering(one.name, None, None, None, "cpu")
        expected = model.answer(question, reply.detected.regions)  # as `lxcompress ask` does
        probabilities.append([share for _, share in expected.likeliest])
        found = reply_to_json(reply, service)
        assert found["answer"] == found["model"]["likeliest"][0]["answer"] == reply.main.text
        assert found["model"]["variant"] == "sparse-fp32"
        assert not {"ticket", "dense", "agree"} & set(found)
        page = cards.render_answer(reply, service.known) + html.render_header(service)
        page += html.render_probabilities(reply, service) + html.render_regions_heading(service)
        page += html.render_client_example("http://127.0.0.1:7860", service)
        assert page.count("<section") == 1 and reply.main.text in page
        assert "dense" not in page.lower() and "agree" not in page and Path(one.name).name in page
        assert str(tiny_exported) not in page  # where it lies on this machine
    for others in probabilities[1:]:
        assert others == pytest.approx(probabilities[0], rel=1e-4)
    written = files[0].main.stat().st_mtime_ns
    service_of(files[0].name)
    assert files[0].main.stat().st_mtime_ns == written


def test_a_published_model_is_found_in_the_hubs_cache(
    tmp_path: Path, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_cache(tmp_path / "hub", monkeypatch)
    words = build_tokenizer(question.text for question in tiny_dataset.questions("train"))
    add_repository(tmp_path / "hub", VQA, published_files(tmp_path, vocab_size=len(words)))
    with pytest.raises(ModelError, match="has no tokenizer of its own"):
        ServedFiles.find(VQA, ModelOptions())
    add_repository(tmp_path / "hub", BASE, tokenizer_files(words, tmp_path / "words"))
    files = ServedFiles.find(VQA, ModelOptions(variant="int8"))
    assert files.missing == [files.main] and files.main.name == "model_int8.onnx"
    assert (files.feature_size, files.data) == (6, None)
    with pytest.raises(ConfigError, match="regions of 6 features, which no detector gives"):
        open_detector_of(files, ServiceOptions())
