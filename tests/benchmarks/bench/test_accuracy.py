"""The dense control's answers are those that the run has kept."""

from pathlib import Path

from benchmarks.bench.accuracy import answers_of_control
from lxcompress.run import Run
from lxcompress.system.files import read_json, write_json


def test_the_answers_of_the_dense_control(run: Path) -> None:
    assert answers_of_control(Run(run)) is None
    result = read_json(run / "result.json", "result")
    result["dense_control"] = {"accuracy": {"overall": 50.0}, "epochs": 2}
    write_json(run / "result.json", result)
    assert answers_of_control(Run(run)) is None
    answers = run / "predictions" / "control-1.json"
    answers.write_bytes((run / "predictions" / "dense.json").read_bytes())
    assert answers_of_control(Run(run)) == answers
