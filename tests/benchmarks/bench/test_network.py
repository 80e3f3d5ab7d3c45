"""The heads, neurons and multiply-adds of a file are those of its ticket's compact network."""

from pathlib import Path

import pytest
from compacted import HALF, kept_units, structured_run

from benchmarks.bench.network import SUBLAYERS, of_files
from benchmarks.measure.multiply_adds import multiply_adds
from exporters import export
from exporters.source import Source
from lxcompress.model.compact import compact
from lxcompress.model.lxmert import load_model
from lxcompress.model.sublayers import sublayers
from lxcompress.run import Run

VARIANT = "sparse-fp32"


@pytest.mark.usefixtures("traced_once")
def test_network_of_a_structured_ticket(tiny_run: Path, tmp_path: Path) -> None:
    run = Run(structured_run(tiny_run, tmp_path / "run"))
    source = Source.of(run.folder, None, None)
    export.export(source, source.variants([VARIANT]), "cpu")
    found = of_files(run, ["fp32", VARIANT], 9, 4)

    model = load_model(run.ticket)
    kept = kept_units(model, HALF)
    assert found.dense == multiply_adds(model, 9, 4)
    assert found.ticket == multiply_adds(compact(model, kept), 9, 4) < found.dense
    units = {it.module: it for it in found.units}
    assert units.keys() == kept.keys() == {layer.name for layer in sublayers(model)}
    for name, remaining in kept.items():
        assert (units[name].left, units[name].of) == (int(remaining.sum()), len(remaining))
        assert SUBLAYERS[name.split(".", 4)[-1]] == units[name].sublayer
    parts = {(it.part, it.layer) for it in found.units}
    assert parts == {("language", 0), ("vision", 0), ("cross-modality", 0)}
