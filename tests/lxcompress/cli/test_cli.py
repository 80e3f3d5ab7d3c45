"""The command line: what it prints and writes, exit codes, and one line for each mistake."""

import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from dataset_files import write_official, write_regions
from filelock import FileLock
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader
from typer.main import get_command

import lxcompress
from lxcompress import lottery
from lxcompress.cli.doctor import checks as doctor_checks
from lxcompress.cli.main import app, main
from lxcompress.cli.pretrain import pretrain
from lxcompress.cli.prune import prune
from lxcompress.config import PretrainConfig, PruneConfig
from lxcompress.errors import Interrupted
from lxcompress.steps import trainer


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The message of a mistake, after checking that it is all that was said."""
        assert self.code == 2, self
        lines = self.err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: "), self.err
        assert "Traceback" not in self.out
        return lines[0].removeprefix("error: ")


Command = Callable[..., Outcome]


@pytest.fixture
def lxcompress_(call: Callable[..., tuple[int, str, str]]) -> Command:
    """Run the command in this process."""
    return lambda *arguments: Outcome(*call(*arguments))


def options(model: Path, data: Path, output: Path) -> list[object]:
    """Those of a run that takes a second."""
    return [
        *("--data", data, "--model", model, "--output", output, "--sparsity", 0.2),
        *("--epochs", 1, "--batch-size", 16, "--learning-rate", 1e-3, "--device", "cpu"),
    ]


@pytest.fixture(scope="module")
def finished(tiny_model: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    output = tmp_path_factory.mktemp("cli") / "run"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stop:
        arguments = ["lxcompress", "prune", *map(str, options(tiny_model, tiny_data, output))]
        patch.setattr(sys, "argv", arguments)
        main()
    assert stop.value.code == 0
    return output


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


# -- Help -------------------------------------------------------------------------------------

_HELP_OF_ALL = """
import contextlib, io, sys
from lxcompress.cli import main as cli
from typer.main import get_command

def commands(command, path):
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, [*path, name])

for path in commands(get_command(cli.app), []):
    sys.argv = ["lxcompress", *path, "--help"]
    text = io.StringIO()
    try:
        with contextlib.redirect_stdout(text):
            cli.main()
    except SystemExit as stop:
        assert stop.code == 0, path
    assert "Usage: lxcompress" in text.getvalue(), path
    print(" ".join(path))
for heavy in ("torch", "transformers", "numpy", "onnxruntime"):
    assert heavy not in sys.modules, heavy
"""


def test_help_of_every_command_answers_at_once() -> None:
    """It imports nothing heavy."""
    done = subprocess.run([sys.executable, "-c", _HELP_OF_ALL], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    named = set(done.stdout.splitlines())
    assert {"prune", "evaluate", "score", "data", "data check", "pretrain", "doctor"} <= named


_HELP_IN_ASCII = r"""
import sys
import time
from lxcompress.cli.main import main

for command in ("prune", "sweep", "export", "data import"):
    sys.argv = ["lxcompress", *command.split(), "--help"]
    try:
        main()
    except SystemExit as stop:
        assert stop.code == 0, command
print("θ0 caf\udce9", file=sys.stderr)
sys.argv = ["lxcompress", "evaluate", "θ0", "--predictions", "θ0/ü", "--json", "θ0/ü"]
main()
"""


def test_output_that_cannot_encode_a_character() -> None:
    """As in a container without a locale: neither a θ nor a name of a file ends the command."""
    done = subprocess.run(
        [sys.executable, "-c", _HELP_IN_ASCII],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii:strict", "COLUMNS": "100"},
    )
    out, err = done.stdout.decode("ascii"), done.stderr.decode("ascii")
    assert done.returncode == 2, err
    assert "Usage: lxcompress sweep" in out and r"\u03b80" in out
    first, last = err.splitlines()
    assert first == r"\u03b80 caf\udce9"
    assert last.startswith("error: ") and r"\u03b80/\xfc is named twice" in last


def test_the_installed_script() -> None:
    script = Path(sys.executable).parent / "lxcompress"
    if not script.exists():
        pytest.skip("lxcompress is not installed as a script")
    done = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"lxcompress {lxcompress.__version__}\n")
    done = subprocess.run([script, "prune", "--zzz"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "error: No such option: --zzz. See `lxcompress prune --help`\n"


def test_without_a_command_it_helps(lxcompress_: Command) -> None:
    outcome = lxcompress_()
    assert outcome.code == 0 and "Usage: lxcompress" in outcome.out


@pytest.mark.parametrize(
    ("command", "config"), [(prune, PruneConfig.parse({})), (pretrain, PretrainConfig.parse({}))]
)
def test_defaults_in_the_help_are_true(command: Callable[..., None], config: Any) -> None:
    settings, checked = config.dump(), set()
    for parameter, hint in get_type_hints(command, include_extras=True).items():
        (option,) = getattr(hint, "__metadata__", (None,))
        said = re.search(r"\[default: (\S+)\]", (option and option.help) or "")
        name = parameter.replace("_", "-")
        if said and name in settings:
            value = {"on": "True"}.get(said[1], said[1])
            assert str(settings[name]) == value or float(settings[name]) == float(value), name
            checked.add(name)
    assert {"seed", "batch-size", "max-tokens"} <= checked


@pytest.mark.parametrize("command", ["prune", "sweep", "bench", "data detect"])
def test_the_help_shows_what_is_written(command: str, lxcompress_: Command) -> None:
    """Neither brackets nor angles of a help text are taken for mark-up, and vanish."""
    text = " ".join(lxcompress_(*command.split(), "--help").out.replace("│", " ").split())
    group = get_command(app)
    for name in command.split():
        group = group.commands[name]  # type: ignore[attr-defined]
    for option in group.params:
        written = re.sub(r"[`\s]+", " ", getattr(option, "help", None) or "").strip()
        assert written.replace(" ", "") in text.replace(" ", ""), option.name


# -- Mistakes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prnue"], "No such command 'prnue'"),
        (["prune", "--sparsty", "0.5"], "No such option: --sparsty"),
        (["prune", "--sparsity", "half"], "'--sparsity': Input should be a valid number"),
        (["prune", "extra"], "unexpected extra argument"),
        (["evaluate"], "Missing argument 'model'"),
        (["pretrain"], "Missing option '--output'"),
        (["score", "a.json"], "Missing option '--questions'"),
        (["prune", "--sparsity", "0"], "--sparsity 0.0: input should be greater than 0"),
        (["prune", "--sparsity", "1"], "--sparsity 1.0: input should be less than 1"),
        (["prune", "--sparsity", "2"], "--sparsity 2.0: input should be less than 1"),
        (["prune", "--subnetwork", "medium"], "--subnetwork medium: input should be 'low'"),
        (["prune", "--data", "."], "give either --model"),
        (["prune", "--data", "elsewhere"], "--data elsewhere: there is no such dataset folder"),
        (["prune", "--config", "absent.yaml"], "cannot read --config absent.yaml: No such file"),
        (["prune", "--resume", "absent"], "absent is not a run directory"),
        (["prune", "--resume", "absent", "--sparsity", "0.3"], "--resume takes all settings"),
        (["prune", "--resume", "absent", "--force"], "--resume takes all settings"),
        (["evaluate", "x", "--split", "dev"], "--split dev: choose train, val, test"),
        (["evaluate", "x", "--device", "tpu"], "--device tpu: choose auto, cpu, cuda, mps"),
        (["evaluate", "x", "--predictions", "."], "output is a folder"),
        (["evaluate", "x", "--json", "a", "--predictions", "a"], "a is named twice"),
        (["score", "no.json", "--questions", "q", "--annotations", "a"], "not found: no.json"),
    ],
)
def test_wrong_usage(
    arguments: list[str],
    message: str,
    lxcompress_: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in lxcompress_(*arguments).error
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--data", "absent"], "absent"),
        (["--model", "absent/model"], "cannot load absent/model as an LXMERT model"),
        (["--device", "cuda"], "--device cuda: "),
        (["--device", "mps"], "--device mps: this machine has no Apple GPU"),
        (["--batch-size", "1000"], "320 training questions do not fill one batch of 1000"),
        (["--max-tokens", "25"], "--max-tokens 25: the model reads at most 24 tokens"),
        (["--sparsity", "0.00001"], "28,672 prunable weights"),
        (["--rewind", "late", "--rewind-step", "99"], "--rewind-step 99: training has only 20"),
        (["--tokenizer", "absent/tokenizer"], "cannot load absent/tokenizer"),
    ],
)
def test_prune_refuses(
    change: list[str],
    message: str,
    lxcompress_: Command,
    tiny_model: Path,
    tiny_data: Path,
    tmp_path: Path,
) -> None:
    arguments = options(tiny_model, tiny_data, tmp_path / "run")
    assert message in lxcompress_("prune", *arguments, *change).error


def test_a_first_try_that_failed_is_no_obstacle(
    lxcompress_: Command, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    arguments = options(tiny_model, tiny_data, tmp_path / "run")
    lxcompress_("prune", *arguments, "--model", "absent/model")
    assert lxcompress_("prune", *arguments).code == 0


def test_regions_of_another_detector(
    lxcompress_: Command, tiny_model: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    write_regions(data / "r", map(str, range(1, 9)), feature_size=8)
    parts = {
        split: {kind: path.name for kind, path in write_official(data, split, range(1, 9)).items()}
        for split in ("train", "val", "test")
    }
    del parts["test"]["annotations"]
    content = {split: part | {"regions": "r"} for split, part in parts.items()}
    (data / "dataset.yaml").write_text(yaml.safe_dump({"name": "mine", **content}))
    arguments = options(tiny_model, data, tmp_path / "run")
    message = "the model takes regions of 107 features, those of mine"
    assert message in lxcompress_("prune", *arguments, "--batch-size", 4).error
    assert message in lxcompress_("evaluate", tiny_model, "--data", data).error
    predictions = ["--split", "test", "--predictions", tmp_path / "p.json"]
    assert message in lxcompress_("evaluate", tiny_model, "--data", data, *predictions).error


@pytest.mark.parametrize(
    ("model_type", "message"),
    [("bert", "is a bert model; lxcompress prunes LXMERT"), ("nonsense", "cannot load")],
)
def test_models_that_are_not_lxmert(
    model_type: str, message: str, lxcompress_: Command, tiny_data: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"model_type": model_type}))
    arguments = options(model, tiny_data, tmp_path / "run")
    assert message in lxcompress_("prune", *arguments).error
    assert message in lxcompress_("evaluate", model, "--data", tiny_data).error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sparsity: [0.5", "is not valid YAML"),
        ("sparsty: 0.5", "unknown setting 'sparsty'"),
        ("sparsity: 1.5", "--sparsity 1.5: input should be less than 1"),
        ("- 1", "must map option names to values"),
    ],
)
def test_wrong_yaml(text: str, message: str, lxcompress_: Command, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    assert message in lxcompress_("prune", "--config", path).error


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("nonsense", "neither a file nor one of the presets base, small"),
        ({"model_type": "lxmert", "hidden_size": 30}, "hidden_size 30 is not a multiple of"),
        ({"model_type": "bert"}, "is a bert model"),
        ({"model_type": "lxmert", "max_position_embeddings": 10}, "reads at most 10 tokens"),
    ],
)
@pytest.mark.parametrize("command", ["prune", "pretrain"])
def test_wrong_architectures(
    architecture: Any,
    message: str,
    command: str,
    lxcompress_: Command,
    tiny_data: Path,
    tmp_path: Path,
) -> None:
    if not isinstance(architecture, str):
        path = tmp_path / "config.json"
        path.write_text(json.dumps(architecture))
        architecture = path
    arguments = ["--data", tiny_data, "--model-config", architecture, "--output", tmp_path / "o"]
    assert message in lxcompress_(command, *arguments).error


def test_a_debug_flag_shows_the_traceback(
    lxcompress_: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["lxcompress", "prune", "--debug", "--sparsity", "2"])
    with pytest.raises(lxcompress.errors.ConfigError):
        main()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_outside_training(
    number: int, lxcompress_: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_checks, "examine", lambda: os.kill(os.getpid(), number))
    before = signal.getsignal(number)
    outcome = lxcompress_("doctor")
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.err == "interrupted; the same command again continues\n"
    assert signal.getsignal(number) is before


def test_bugs_are_not_taken_for_mistakes(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(lottery.Lottery, "find_ticket", lambda self: 1 / 0)
    arguments = options(tiny_model, tiny_data, tmp_path / "run")
    monkeypatch.setattr(sys, "argv", ["lxcompress", "prune", *map(str, arguments)])
    with pytest.raises(ZeroDivisionError):
        main()


def test_a_worker_that_is_killed_in_the_middle_of_a_step_is_one_line(
    lxcompress_: Command,
    monkeypatch: pytest.MonkeyPatch,
    tiny_model: Path,
    tiny_data: Path,
    tmp_path: Path,
) -> None:
    """PyTorch raises the error where the training is, not where the next batch is read."""
    monkeypatch.setattr(lottery.Lottery, "find_ticket", _fail_like_a_killed_worker)
    outcome = lxcompress_("prune", *options(tiny_model, tiny_data, tmp_path / "run"))
    assert outcome.code == 2
    assert "a process that loads batches was killed" in outcome.error
    assert "--workers 0" in outcome.error


def _fail_like_a_killed_worker(self: lottery.Lottery) -> None:
    """Kill a worker of a loader while no batch is being read."""
    loader: Any = DataLoader(range(8), num_workers=1)  # type: ignore[arg-type]
    batches = iter(loader)
    next(batches)
    (worker,) = multiprocessing.active_children()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    time.sleep(30)  # ended by the signal of the worker's end


# -- prune ------------------------------------------------------------------------------------


def test_prune_reports_and_repeats_at_once(
    lxcompress_: Command, finished: Path, tiny_model: Path, tiny_data: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*.safetensors")}
    outcome = lxcompress_("prune", *options(tiny_model, tiny_data, finished))
    assert outcome.code == 0
    assert f"already finished: {finished}" in outcome.out
    result = json.loads((finished / "result.json").read_text())
    for model in ("dense", "ticket"):
        assert f"{result[model]['accuracy']['overall']:.2f}" in outcome.out
    assert f"next: lxcompress export {finished}" in outcome.out
    assert {path: path.stat().st_mtime_ns for path in before} == before
    outcome = lxcompress_("prune", "--resume", finished)
    assert outcome.code == 0 and "already finished" in outcome.out


def test_other_settings_need_force(
    lxcompress_: Command, run: Path, tiny_model: Path, tiny_data: Path
) -> None:
    arguments = [*options(tiny_model, tiny_data, run), "--subnetwork", "random"]
    error = lxcompress_("prune", *arguments).error
    assert "belongs to another run (subnetwork is low there and random here)" in error
    outcome = lxcompress_("prune", *arguments, "--force")
    assert outcome.code == 0 and "already finished" not in outcome.out
    config = json.loads((run / "config.json").read_text())
    assert config["subnetwork"] == "random"
    assert json.loads((run / "result.json").read_text())["config"] == config


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_other_peoples_folders_are_left_alone(
    force: list[str], lxcompress_: Command, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    before = {path: path.read_bytes() for path in model.iterdir()}
    error = lxcompress_("prune", *options(tiny_model, tiny_data, model), *force).error
    assert "has files in it but is not a run directory" in error
    assert {path: path.read_bytes() for path in model.iterdir() if path.name != ".lock"} == before


def test_output_that_is_a_file(
    lxcompress_: Command, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").touch()
    assert (
        "is a file" in lxcompress_("prune", *options(tiny_model, tiny_data, tmp_path / "run")).error
    )


def test_output_that_cannot_be_written(
    lxcompress_: Command, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    error = lxcompress_("prune", *options(tiny_model, tiny_data, tmp_path / "file" / "run")).error
    assert str(tmp_path / "file") in error


@pytest.mark.parametrize(
    "command",
    [
        ["prune", "--output", "{}"],
        ["pretrain", "--output", "{}"],
        ["sweep", "--output", "{}"],
        ["export", "{run}", "--output", "{}"],
        ["export", "{run}", "--hub", "{}"],
        ["export", "{run}", "--triton", "{}"],
        ["evaluate", "{run}/ticket", "--json", "{}"],
        ["score", "a.json", "--questions", "b.json", "--annotations", "c.json", "--json", "{}"],
    ],
)
def test_output_is_tried_before_the_work(
    command: list[str],
    lxcompress_: Command,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not even data are made or opened."""

    def opened(*_: object) -> None:
        raise AssertionError("too late")

    for module in ("lottery", "cli.pretrain", "data.dataset", "run"):
        monkeypatch.setattr(f"lxcompress.{module}.open_dataset", opened, raising=False)
    monkeypatch.setattr("benchmarks.sweep.run.open_dataset", opened)
    (tmp_path / "file").touch()
    output = tmp_path / "file" / "new" / "output"
    error = lxcompress_(*(part.format(output, run=finished) for part in command)).error
    assert f"cannot be written to ({tmp_path / 'file'} is a file); choose another folder" in error


def test_two_at_a_time(lxcompress_: Command, run: Path, tiny_model: Path, tiny_data: Path) -> None:
    with FileLock(run / ".lock"):
        error = lxcompress_("prune", *options(tiny_model, tiny_data, run)).error
    assert "another process is working in" in error


def test_yaml_and_command_line(
    lxcompress_: Command, tiny_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """The command line wins over the file, the file over the defaults."""
    path = tmp_path / "run.yaml"
    path.write_text(
        f"data: {tiny_data}\nmodel: {tiny_model}\nsparsity: 0.3\nbatch_size: 16\n"
        "epochs: 3\nlearning-rate: 1e-3\nrewind: lr\n"
    )
    output = tmp_path / "run"
    arguments = ["--config", path, "--output", output, "--epochs", 1, "--sparsity", 0.1]
    assert lxcompress_("prune", *arguments).code == 0
    config = json.loads((output / "config.json").read_text())
    wanted = {"sparsity": 0.1, "epochs": 1, "batch-size": 16, "rewind": "lr", "seed": 0}
    assert {name: config[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("line", "more", "folder"),
    [
        ("output: 2024", [], "2024"),
        ("output: yes", ["--output", "mine"], "mine"),
        ("output:", ["--output", "mine"], "mine"),
        ("output: theirs", ["--output", "mine"], "mine"),
        ("data: data", [], "runs/data-low-50"),
    ],
)
@pytest.mark.parametrize("command", ["prune", "sweep"])
def test_output_in_a_yaml_file(
    line: str,
    more: list[str],
    folder: str,
    command: str,
    lxcompress_: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name is text, and the command line wins."""
    found: list[Path] = []
    monkeypatch.setattr(lottery, "find_ticket", lambda run, *_, **__: found.append(run.folder))
    monkeypatch.setattr("lxcompress.cli.prune.report", lambda *_: None)
    monkeypatch.setattr(
        "benchmarks.sweep.run.sweep", lambda plan, *_, **__: found.append(plan.folder)
    )
    monkeypatch.setattr("lxcompress.cli.sweep._show", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(f"{line}\nmodel: unc-nlp/lxmert-base-uncased\ndata: data\n")
    assert lxcompress_(command, "--config", "run.yaml", *more).code == 0
    if command == "sweep" and line == "data: data":
        folder = "runs/sweep-data"
    assert [path.absolute() for path in found] == [tmp_path / folder]


@pytest.mark.parametrize("line", ["output:", "output: ''", "output: [a]"])
@pytest.mark.parametrize("command", ["prune", "sweep"])
def test_output_in_a_yaml_file_that_is_no_name(
    line: str, command: str, lxcompress_: Command, tmp_path: Path
) -> None:
    (tmp_path / "run.yaml").write_text(f"{line}\n")
    error = lxcompress_(command, "--config", tmp_path / "run.yaml").error
    assert "output: is not the name of a folder; give one, or leave the line out" in error


def test_from_scratch_in_a_folder_that_it_names(
    lxcompress_: Command, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    architecture = {"model_type": "lxmert", "hidden_size": 32, "num_attention_heads": 2}
    architecture |= {"intermediate_size": 32, "l_layers": 1, "x_layers": 1, "r_layers": 1}
    Path("tiny.json").write_text(json.dumps(architecture))
    arguments = ["--data", tiny_data, "--model-config", "tiny.json", "--sparsity", 0.1]
    arguments += ["--epochs", 1, "--batch-size", 64, "--schedule", "iterative"]
    assert lxcompress_("prune", *arguments).code == 0
    assert (tmp_path / "runs" / "tiny-low-10-iterative" / "ticket" / "mask.safetensors").exists()


@pytest.mark.parametrize("stop", [Interrupted("stopped at step 3 of 20"), KeyboardInterrupt()])
def test_interrupted(
    stop: BaseException,
    lxcompress_: Command,
    tiny_model: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In training a checkpoint is saved first; elsewhere nothing needs saving."""

    def interrupt(*args: Any, **kwargs: Any) -> None:
        raise stop

    where = "train" if isinstance(stop, Interrupted) else "predict"
    arguments = options(tiny_model, tiny_data, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(trainer, where, interrupt)
        outcome = lxcompress_("prune", *arguments)
    assert outcome.code == 130 and "Traceback" not in outcome.err
    assert "the same command again" in outcome.err and "error" not in outcome.err
    if isinstance(stop, Interrupted):
        assert f"lxcompress prune --resume {tmp_path / 'run'}" in outcome.err
    assert lxcompress_("prune", "--resume", tmp_path / "run").code == 0


# -- evaluate and score -----------------------------------------------------------------------


def test_evaluate_a_ticket(
    lxcompress_: Command, finished: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """As the run measured it; and as `score` measures the predictions."""
    predictions, figures, scored = (tmp_path / name for name in ("p.json", "e.json", "s.json"))
    outcome = lxcompress_(
        *("evaluate", finished / "ticket", "--data", tiny_data, "--device", "cpu"),
        *("--predictions", predictions, "--json", figures),
    )
    assert outcome.code == 0
    assert "20.0% of the prunable weights are zero" in outcome.out
    accuracy = json.loads((finished / "result.json").read_text())["ticket"]["accuracy"]
    found = json.loads(figures.read_text())
    assert found["overall"] == round(accuracy["overall"], 2)
    assert found["perAnswerType"]["yes/no"] == round(accuracy["yes/no"], 2)
    rows = json.loads(predictions.read_text())
    questions, annotations = (
        tiny_data / f"val_{kind}.json" for kind in ("questions", "annotations")
    )
    asked = [row["question_id"] for row in json.loads(questions.read_text())["questions"]]
    assert [row["question_id"] for row in rows] == asked
    assert {frozenset(row) for row in rows} == {frozenset({"question_id", "answer"})}
    assert all(isinstance(row["answer"], str) for row in rows)
    outcome = lxcompress_(
        *("score", predictions, "--questions", questions, "--annotations", annotations),
        *("--json", scored),
    )
    assert outcome.code == 0
    assert json.loads(scored.read_text()) == found
    predictions.write_text(json.dumps(rows[:-1]))
    error = lxcompress_(
        "score", predictions, "--questions", questions, "--annotations", annotations
    ).error
    assert "1 questions have no prediction" in error


def test_the_test_split(
    lxcompress_: Command, finished: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """Its answers are nobody's: predictions only, one for each question, in official form."""
    arguments = ["evaluate", finished / "dense", "--data", tiny_data, "--split", "test"]
    assert "give --predictions FILE" in lxcompress_(*arguments).error
    outcome = lxcompress_(*arguments, "--predictions", tmp_path / "p.json")
    assert outcome.code == 0 and "accuracy" not in outcome.out
    rows = json.loads((tmp_path / "p.json").read_text())
    asked = json.loads((tiny_data / "test_questions.json").read_text())["questions"]
    assert [row["question_id"] for row in rows] == [row["question_id"] for row in asked]


def test_evaluate_refuses(lxcompress_: Command, run: Path, tiny_data: Path, tmp_path: Path) -> None:
    def error(*arguments: object) -> str:
        return lxcompress_("evaluate", *arguments, "--data", tiny_data).error

    assert f"is a run directory; give one of its models, e.g. {run / 'ticket'}" in error(run)
    assert "--max-tokens 25: the model reads at most 24" in error(run / "dense", "--max-tokens", 25)
    assert "--device cuda" in error(run / "dense", "--device", "cuda")

    mask = run / "ticket" / "mask.safetensors"
    intact = mask.read_bytes()
    mask.write_bytes(intact[:-9])
    assert "mask is damaged" in error(run / "ticket")
    mask.write_bytes(intact)
    weights = load_file(run / "ticket" / "model.safetensors")
    name = "lxmert.pooler.dense.weight"
    weights[name][weights[name] == 0] = 0.5
    save_file(weights, run / "ticket" / "model.safetensors", metadata={"format": "pt"})
    assert f"pruned weights of {name} are not zero" in error(run / "ticket")

    config = json.loads((run / "dense" / "config.json").read_text())
    config["id2label"] = {"0": "yes"}
    (run / "dense" / "config.json").write_text(json.dumps(config))
    assert "names 1 answers in id2label, but its head has 14" in error(run / "dense")


def test_evaluate_needs_only_its_split(
    lxcompress_: Command, finished: Path, tiny_data: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    (data / "train_questions.json").unlink()
    assert lxcompress_("evaluate", finished / "dense", "--data", data).code == 0


def test_a_split_that_the_dataset_lacks(
    lxcompress_: Command, finished: Path, tiny_data: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    content = yaml.safe_load((data / "dataset.yaml").read_text())
    del content["val"]
    (data / "dataset.yaml").write_text(yaml.safe_dump(content))
    error = lxcompress_("evaluate", finished / "dense", "--data", data).error
    assert "--split val: shapes-vqa has no such split" in error
    arguments = options(finished / "theta0", data, tmp_path / "run")
    message = f"has no `val:` split: {data / 'dataset.yaml'}"
    assert message in lxcompress_("prune", *arguments).error


# -- pretrain ---------------------------------------------------------------------------------


def test_pretrain(lxcompress_: Command, tiny_data: Path, tmp_path: Path) -> None:
    architecture = {"model_type": "lxmert", "hidden_size": 32, "num_attention_heads": 2}
    architecture |= {"intermediate_size": 32, "l_layers": 1, "x_layers": 1, "r_layers": 1}
    (tmp_path / "tiny.json").write_text(json.dumps(architecture))
    arguments = ["pretrain", "--data", tiny_data, "--model-config", tmp_path / "tiny.json"]
    arguments += ["--epochs", 1, "--batch-size", 64, "--output", tmp_path / "model"]
    outcome = lxcompress_(*arguments)
    assert outcome.code == 0
    assert f"next: lxcompress prune --model {tmp_path / 'model'}" in outcome.out
    assert f"--output {tmp_path / 'model'} exists already" in lxcompress_(*arguments).error
    # The answers of its own head, before any fine-tuning.
    assert lxcompress_("evaluate", tmp_path / "model", "--data", tiny_data).code == 0


def test_pretrain_refuses(lxcompress_: Command, tiny_data: Path, tmp_path: Path) -> None:
    arguments = ["pretrain", "--output", tmp_path / "model", "--data", tiny_data]
    assert "--epochs 0: " in lxcompress_(*arguments, "--epochs", 0).error
    assert "--device cuda: " in lxcompress_(*arguments, "--device", "cuda").error
    assert "do not fill one batch of 999" in lxcompress_(*arguments, "--batch-size", 999).error
    assert not list(tmp_path.iterdir())  # nothing that a right command would stumble over
    assert "cannot load" in lxcompress_(*arguments, "--tokenizer", tmp_path / "absent").error


# -- doctor -----------------------------------------------------------------------------------


def test_doctor(lxcompress_: Command) -> None:
    outcome = lxcompress_("doctor")
    report = json.loads(lxcompress_("doctor", "--json").out)
    assert report["problems"] == [] and outcome.code == 0
    assert "no problems" in outcome.out
    assert report["found"]["lxcompress version"] == lxcompress.__version__
    assert report["found"]["PyTorch device"].startswith("cpu")
    assert report["found"]["shared memory"].startswith("/dev/shm: ")
    # What is listed is what a session really got, and the CPU is always among it.
    assert "CPUExecutionProvider" in report["found"]["ONNX Runtime uses"]
    assert "CUDAExecutionProvider" not in report["found"]["ONNX Runtime uses"]


def test_doctor_finds_problems(lxcompress_: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = doctor_checks.installed_version
    changed = {"safetensors": None, "pillow": "1.0"}

    def pretend(package: str) -> str | None:
        return changed[package] if package in changed else installed(package)

    monkeypatch.setattr(doctor_checks, "installed_version", pretend)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: _Usage(free=5_000_000))
    outcome = lxcompress_("doctor")
    assert outcome.code == 2
    assert "problem: safetensors is not installed: pip install 'safetensors" in outcome.out
    assert "problem: pillow 1.0 is installed, pillow>=" in outcome.out
    assert "has only 5 MB free" in outcome.out


@dataclass
class _Usage:
    free: int
    total: int = 10_000_000
