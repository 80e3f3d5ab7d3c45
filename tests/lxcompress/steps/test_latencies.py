"""`prune --speedup`: the lottery with a table of latencies."""

from pathlib import Path
from typing import Any

import pytest
from tiny import settings
from transformers import LxmertConfig, LxmertForQuestionAnswering

from lxcompress.config import PruneConfig
from lxcompress.data.dataset import Dataset
from lxcompress.errors import ConfigError, Interrupted, RunError
from lxcompress.lottery import Lottery
from lxcompress.model.sublayers import sublayers
from lxcompress.pruning.latency_table import LatencyTable
from lxcompress.pruning.speedup import predicted_latency
from lxcompress.run import Run
from lxcompress.system.files import read_json, write_json
from lxcompress.system.machine.environment import onnx_machine
from lxcompress.ticket import load_ticket


def measure(
    architecture: LxmertConfig, precision: str, batch: int, tokens: int, regions: int
) -> LatencyTable:
    """Not measured: heads take 1 ms, neurons 0.05 ms, the rest 1 ms."""
    layers = sublayers(LxmertForQuestionAnswering(architecture))
    curves = {
        layer.name: {0: 0.0, layer.units: (1 if layer.kind == "heads" else 0.05) * layer.units}
        for layer in layers
    }
    return LatencyTable(
        precision=precision,
        batch=batch,
        tokens=tokens,
        regions=regions,
        dense=1
        + sum(curve[layer.units] for layer, curve in zip(layers, curves.values(), strict=True)),
        sublayers=curves,
        machine=onnx_machine(1),
    )


def find(folder: Path, dataset: Dataset, options: dict[str, Any]) -> dict[str, Any]:
    config, run = PruneConfig.parse(options), Run(folder)
    with run.claim(config.dump()):
        Lottery(run, config, dataset, measure).find_ticket()
    return read_json(run.result, "result")


def test_a_ticket_of_a_speedup(
    tiny_model: Path, tiny_data: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    options = settings(
        tiny_model, tiny_data, speedup=1.5, speedup_batch=4, speedup_precision="int8", control=False
    )
    result = find(tmp_path / "run", tiny_dataset, options)
    speedup = result["ticket"]["speedup"]
    assert speedup["target"] == 1.5
    assert 1.5 <= speedup["predicted"] < 2
    assert (speedup["precision"], speedup["batch"]) == ("int8", 4)
    assert result["config"]["pattern"] == "structured"
    assert result["config"]["sparsity"] is None
    assert len(result["pruning_steps"]) == 4  # 10, 20, 30 and 33% of the latency
    assert result["ticket"]["structure"]
    model, mask = load_ticket(tmp_path / "run" / "ticket")
    shape = (speedup[name] for name in ("precision", "batch", "tokens", "regions"))
    table = measure(model.config, *shape)
    assert table.dense / predicted_latency(model, mask, table) == pytest.approx(
        speedup["predicted"]
    )
    # The settings that are saved with a run are read again.
    assert PruneConfig.parse(result["config"]).speedup == 1.5


def test_a_run_is_not_continued_with_latencies_of_another_machine(
    tiny_model: Path,
    tiny_data: Path,
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = settings(tiny_model, tiny_data, speedup=1.5, control=False)

    def stop(*arguments: object, **how: object) -> None:
        raise Interrupted("stopped")

    with monkeypatch.context() as patched:
        patched.setattr("lxcompress.steps.trainer.train", stop)
        with pytest.raises(Interrupted):
            find(tmp_path / "run", tiny_dataset, options)
    path = Run(tmp_path / "run").once_path("latencies")
    table = read_json(path, "latencies")
    write_json(path, table | {"machine": table["machine"] | {"processor": "another"}})
    with pytest.raises(RunError, match="latencies of another machine .processor is another"):
        find(tmp_path / "run", tiny_dataset, options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speedup": 0.5}, "--speedup 0.5: input should be greater than 1"),
        ({"speedup": "nan"}, "--speedup nan: "),
        ({"speedup": 2, "sparsity": 0.5}, "give either --sparsity or --speedup"),
        ({"speedup": 2, "pattern": "2:4"}, "--speedup needs --pattern structured: 2:4 tickets"),
        ({"speedup": 2, "pattern": "unstructured"}, "--speedup needs --pattern structured"),
        ({"speedup-batch": 4}, "need --speedup"),
        ({"speedup": 2, "speedup-precision": "fp16"}, "--speedup-precision fp16: "),
    ],
)
def test_wrong_settings_are_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PruneConfig.parse({"data": "shapes", **options})
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_an_impossible_speedup_is_known_before_training(
    tiny_model: Path,
    tiny_data: Path,
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lxcompress.steps.trainer.train", None)
    options = settings(tiny_model, tiny_data, speedup=100)
    with pytest.raises(ConfigError, match="--speedup 100 cannot be reached.*Choose at most"):
        find(tmp_path / "run", tiny_dataset, options)
