"""`lxcompress demo`, its API, and what it must not serve."""

import shutil
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_client import ask_with_client
from call import Call
from PIL import Image
from processes import Script
from served import META, Served, run_demo

from app import server
from app.address import Address, find_port
from app.answers.service import Service
from lxcompress.config import PruneConfig
from lxcompress.data.shapes.scenes import make_scene, render
from lxcompress.errors import ConfigError
from lxcompress.result import RunResult
from lxcompress.run import Run
from lxcompress.system.machine.onnx_providers import why_unusable

QUESTIONS = ("how many shapes are there?", "is there a red circle?", "what color is the square?")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("scenes")
    paths = [folder / f"{number}.png" for number in range(10)]
    for number, path in enumerate(paths):
        render(make_scene(0, "demo", number)).save(path)
    return paths


def without_times(reply: dict[str, Any]) -> dict[str, Any]:
    same = {name: value for name, value in reply.items() if name != "detection_milliseconds"}
    for name in ("ticket", "dense"):
        same[name] = {key: same[name][key] for key in same[name] if key != "milliseconds"}
    return same


# -- The API ------------------------------------------------------------------------------------


def test_api_as_documented(served: Served, service: Service, scenes: list[Path]) -> None:
    endpoints, reply, error = ask_with_client(served.address, scenes[0], QUESTIONS[0], " ")
    assert endpoints == ["/ask"]
    expected = service.ask(scenes[0], QUESTIONS[0])
    assert expected.main and expected.dense
    assert reply["answer"] == expected.main.text and reply["agree"] == expected.agree
    assert reply["question"] == QUESTIONS[0] and reply["objection"] is None
    assert [(one["answer"], one["probability"]) for one in reply["ticket"]["likeliest"]] == [
        (text, pytest.approx(probability, rel=1e-4))
        for text, probability in expected.main.likeliest
    ]
    assert reply["ticket"]["variant"] == "sparse-int8" and reply["dense"]["variant"] == "fp32"
    assert reply["regions"] == pytest.approx(expected.detected.regions.boxes)
    assert error == "there is no question yet; write one"
    # The client sends a URL as it is.
    _, error = ask_with_client(served.address, "https://example.com/x.png", QUESTIONS[0])
    assert "400 Bad Request" in error


def test_concurrent_requests_get_the_same_answers(served: Served, scenes: list[Path]) -> None:
    files = [served.upload(path) for path in scenes]
    work = [(file, question) for file in files for question in QUESTIONS]

    def ask(item: tuple[dict[str, Any], str]) -> dict[str, Any]:
        reply = served.ask(list(item))
        return without_times(reply.raise_for_status().json()["data"][0])

    sequential = [ask(item) for item in work]
    assert len({reply["answer"] for reply in sequential}) > 1
    with ThreadPoolExecutor(16) as pool:
        concurrent = list(pool.map(ask, work * 2))
    assert concurrent == sequential * 2


@pytest.mark.parametrize(
    ("picture", "status"),
    [
        ({"path": "/etc/passwd", "meta": META}, 500),
        ({"path": "/etc/passwd"}, 500),
        ({"path": "../../../../etc/passwd", "meta": META}, 500),
        ({"path": "https://example.com/x.png", "meta": META}, 400),
        ({"path": "https://example.com/x.png"}, 400),
        ({"path": None, "url": "https://example.com/x.png", "meta": META}, 500),
        ({"path": None, "url": "data:image/png;base64,AAAA", "meta": META}, 500),
        ("/etc/passwd", 500),
        (["/etc/passwd"], 500),
        (7, 500),
        (None, 500),
    ],
)
def test_only_uploaded_pictures_are_read(served: Served, picture: Any, status: int) -> None:
    """`run_demo` checks at the end that the server's process connected to no other machine."""
    response = served.ask([picture, QUESTIONS[0]])
    assert response.status_code == status and "root:" not in response.text
    response = served.ask([None, picture])  # a file as the question
    assert response.status_code >= 400
    for path in ("file=https://example.com/x.png", "file/https://example.com/x.png"):
        assert httpx.get(f"{served.address}gradio_api/{path}").status_code == 403


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("", "there is no question yet; write one"),
        (None, "there is no question yet; write one"),
        ("x" * 5000, "the question has 5,000 characters; write one of at most 300"),
        (5, "the question must be text"),
        ({"a": 1}, "the question must be text"),
    ],
)
def test_empty_long_and_non_text_questions_are_rejected(
    served: Served, scenes: list[Path], question: Any, message: str
) -> None:
    response = served.ask([served.upload(scenes[0]), question])
    assert response.status_code == 500 and response.json()["error"] == message


def test_unreadable_pictures_are_rejected(
    served: Served, tmp_path: Path, scenes: list[Path]
) -> None:
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "<b>bold.png").write_text("hello")
    (tmp_path / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    whole = scenes[0].read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    Image.new("1", (9000, 9000)).save(tmp_path / "bomb.png")  # 81 megapixels in 10 kB
    for name, message in (
        ("text.png", "not a picture that can be read"),
        ("<b>bold.png", "not a picture that can be read (PNG, JPEG, …)"),
        ("drawing.svg", "not a picture that can be read"),
        ("half.png", "truncated or damaged"),
        ("bomb.png", "more than 64 megapixels"),
    ):
        response = served.ask([served.upload(tmp_path / name), QUESTIONS[0]])
        assert response.status_code == 500 and message in response.json()["error"]
        assert "bold" not in response.text
    assert served.ask([served.upload(scenes[0]), QUESTIONS[0]]).status_code == 200


def test_large_requests_are_refused(served: Served) -> None:
    address = f"{served.address}gradio_api/"
    response = httpx.post(f"{address}upload", files={"files": ("a.png", bytes(50_000_000))})
    assert response.status_code == 413 and "at most 20 MB" in response.text

    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        for _ in range(30):
            yield bytes(1_000_000)

    kind = {"content-type": "multipart/form-data; boundary=x"}
    response = httpx.post(f"{address}upload", content=endless(), headers=kind)
    assert response.status_code == 413
    assert httpx.post(f"{address}run/ask", content=bytes(2_000_000)).status_code == 413
    assert httpx.post(f"{address}run/ask", content=b"[" * 500_000).status_code == 400
    assert httpx.get(served.address).status_code == 200


def test_only_examples_and_uploads_are_served(
    served: Served, scenes: list[Path], tiny_exported: Path
) -> None:
    def status(path: Path | str) -> int:
        return httpx.get(f"{served.address}gradio_api/file={path}").status_code

    uploaded = served.upload(scenes[0])["path"]
    assert status(uploaded) == 200
    folder = Path(uploaded).parents[2] / "examples"
    examples = sorted(folder.iterdir())
    assert len(examples) == 4 and all(status(path) == 200 for path in examples)
    for path in (
        "/etc/passwd",
        scenes[0],  # in the system's temporary folder
        Path.cwd() / "README.md",
        "README.md",
        tiny_exported / "result.json",
        f"{folder}/../../../etc/passwd",
        f"{folder}/..",
        folder,
        Path(server.__file__),
    ):
        assert status(path) == 403, path
    for path in ("monitoring", "monitoring/summary", "gradio_api/runs"):
        assert httpx.get(f"{served.address}{path}").status_code in (403, 404)


# -- The command --------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Service]:
    """Services that would be served: Gradio would leave sockets and event loops open here."""
    services: list[Service] = []

    @contextmanager
    def serve_page(
        service: Service, port: int | None, address: Address, *, share: bool
    ) -> Iterator[server.ServedPage]:
        services.append(service)
        yield server.ServedPage("http://127.0.0.1:1/", None)

    monkeypatch.setattr(server, "serve_page", serve_page)
    monkeypatch.setattr(server, "wait_for_interrupt", lambda: None)
    return services


def test_the_newest_run_is_the_default(
    call: Call,
    tiny_exported: Path,
    tmp_path: Path,
    opened: list[Service],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").symlink_to(tiny_exported)
    monkeypatch.chdir(tmp_path)
    code, out, err = call("demo", "--threads", 1)
    assert code == 0 and err == ""
    assert "runs/mine, on shapes-vqa: http://127.0.0.1:" in out and "stopped" in out


def test_missing_files_are_exported_first(
    call: Call,
    tiny_exported: Path,
    tmp_path: Path,
    opened: list[Service],
) -> None:
    run = Path(shutil.copytree(tiny_exported, tmp_path / "run"))
    (run / "onnx" / "model_sparse_fp16.onnx").unlink()
    code, out, _ = call("demo", run, "--variant", "sparse-fp16", "--threads", 1)
    assert code == 0 and "has no model_sparse_fp16.onnx yet; exporting first" in out
    assert (run / "onnx" / "model_sparse_fp16.onnx").exists()


def test_without_a_run_the_default_ticket_is_found_first(
    call: Call,
    tiny_exported: Path,
    tmp_path: Path,
    opened: list[Service],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The default run takes minutes; the tests' tiny run replaces it."""
    from lxcompress.cli import prune

    configs = []

    def find(run: Run, config: PruneConfig) -> RunResult:
        shutil.copytree(tiny_exported, run.folder)
        configs.append(config)
        return run.read_result()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prune, "find_ticket", find)
    code, out, _ = call("demo", "--threads", 1)
    assert code == 0 and "no finished run in runs/; finding the default ticket first" in out
    assert [config.data for config in configs] == ["shapes"] and configs[0].sparsity == 0.5
    assert "runs/shapes-low-50, on shapes-vqa: http" in out
    code, out, _ = call("demo", "--threads", 1)
    assert code == 0 and "finding" not in out and len(configs) == 1


def test_errors_are_one_line(
    call: Call, tiny_exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for arguments, message in (
            (["--port", port], f"--port {port} is in use"),
            ([tmp_path], "is not a model folder: it has no config.json"),
            ([tmp_path / "absent"], "is neither a run directory nor a model folder or hub id"),
            (["nobody/nothing"], "the Hugging Face Hub did not give a model"),
            ([tmp_path / "absent.onnx"], "absent.onnx"),
            (["--variant", "fp32"], "--variant fp32: choose sparse-fp32"),
            ([tiny_exported, "--variant", "fp32"], "--variant fp32: choose sparse-fp32"),
            ([tiny_exported, "--detector", "butd"], "the detector butd gives 2048; choose another"),
            ([tiny_exported, "--device", "tpu"], "ONNX files run on cpu or cuda"),
            ([tiny_exported, "--detector-weights", "x"], "the detector pixel has none"),
        ):
            code, _, err = call("demo", *arguments)
            assert code == 2 and message in err and err.count("\n") == 1, arguments
    assert not list(tmp_path.iterdir())  # no run was started


@pytest.mark.skipif(
    why_unusable("CUDAExecutionProvider") is None, reason="CUDA can be used on this machine"
)
def test_requesting_cuda_where_it_is_unavailable_is_an_error(
    call: Call, tiny_exported: Path
) -> None:
    code, _, err = call("demo", tiny_exported, "--device", "cuda")
    assert code == 2 and err.startswith("error: --device cuda: ") and err.count("\n") == 1


def test_answers_after_the_run_is_deleted_and_stops_at_ctrl_c(
    tiny_exported: Path, tmp_path: Path, scenes: list[Path]
) -> None:
    run, port = Path(shutil.copytree(tiny_exported, tmp_path / "run")), find_port(None)
    # Nothing here is to go through a proxy, of a kind that Gradio cannot use at that.
    proxy = {"ALL_PROXY": "socks4://127.0.0.1:9"}
    arguments = (run, "--port", port, "--threads", 1)
    with run_demo(tmp_path, *arguments, environment=proxy) as served:
        assert served.address == f"http://127.0.0.1:{port}/"
        shutil.rmtree(run)
        response = served.ask([served.upload(scenes[0]), QUESTIONS[0]])
        assert response.status_code == 200 and response.json()["data"][0]["answer"]
        assert list(served.temporary.rglob("uploads/*/*.png"))
        served.process.send_signal(signal.SIGINT)
        code, text = served.process.finish(30)
    assert code == 0 and text.endswith("\nstop with Ctrl-C\n\nstopped\n") and text.count("\n") == 4


def test_share_without_gradios_servers_is_an_error(tiny_exported: Path, tmp_path: Path) -> None:
    """Gradio prints a message of its own before ours."""
    code = (
        "from gradio import networking\n"
        "def fail(**options):\n"
        "    raise RuntimeError('no tunnel')\n"
        "networking.setup_tunnel = fail\n"
        "from lxcompress.cli.main import main\n"
        "main()\n"
    )
    exit_code, text = Script(code, "demo", tiny_exported, "--share").finish()
    assert exit_code == 2
    assert text.splitlines()[-1].startswith("error: --share: no public address")


def test_a_port_taken_while_the_page_is_built(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two demos started at the same moment find the same port free."""
    tried: list[int] = []

    def launch(address: Address, *arguments: object) -> str:
        port = arguments[-2]
        assert isinstance(port, int)
        tried.append(port)
        if port == 7860:
            raise OSError("Cannot find empty port")
        return "page"

    monkeypatch.setattr(server, "_launch", launch)
    monkeypatch.setattr(server, "find_port", lambda port, host: port or 7860 + len(tried))
    assert server._launch_on(None, Address(), service, tmp_path, tmp_path, False) == (
        "page",
        7861,
    )
    assert tried == [7860, 7861]
    with pytest.raises(ConfigError, match="--port 7860 is in use on 127.0.0.1"):
        server._launch_on(7860, Address(), service, tmp_path, tmp_path, False)
