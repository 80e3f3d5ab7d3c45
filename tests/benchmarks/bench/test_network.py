"""The heads, neurons and multiply-adds of a file are those of its ticket's compact network."""

from pathlib import Path

from compacted import HALF, kept_units, structured_run

from benchmarks.bench.network import SUBLAYERS, of_files
from benchmarks.measure.multiply_adds import multiply_adds
from exporters import export
from exporters.source import Source
from exporters.variants import VARIANTS
from lxcompress.model.compact import compact
from lxcompress.model.lxmert import load_model
from lxcompress.model.sublayers import sublayers
from lxcompress.run import Run

VARIANT = "sparse-fp32"


def test_network_of_a_structured_ticket(tiny_run: Path, tmp_path: Path) -> None:
    run = Run(structured_run(tiny_run, tmp_path / "run"))
    source = Source.of(run.folder, None, None)
    export.export(source, source.variants([VARIANT]), "cpu")
    file = run.onnx / VARIANTS[VARIANT].file
    found = of_files(load_model(run.dense), file, 9, 4)

    model = load_model(run.ticket)
    kept = kept_units(model, HALF)
    assert found.dense == multiply_adds(model, 9, 4)
    assert found.ticket == multiply_adds(compact(model, kept), 9, 4)
    assert found.share < 1
    units = {it.module: it for it in found.units}
    assert units.keys() == kept.keys() == {layer.name for layer in sublayers(model)}
    for name, remaining in kept.items():
        assert (units[name].left, units[name].of) == (int(remaining.sum()), len(remaining))
        assert SUBLAYERS[name.split(".", 4)[-1]] == units[name].sublayer
    parts = {(it.part, it.layer) for it in found.units}
    assert parts == {("language", 0), ("vision", 0), ("cross-modality", 0)}


def test_network_of_a_model_without_a_ticket(tiny_model: Path) -> None:
    model = load_model(tiny_model)
    found = of_files(model, None, 9, 4)
    assert (found.ticket, found.units) == (None, [])
    assert found.dense == multiply_adds(model, 9, 4)
