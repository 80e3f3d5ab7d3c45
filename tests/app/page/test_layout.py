"""The page in a real browser. It must not contact other servers or execute a user's text."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import Served, chromium

from app.answers.service import Service
from app.page.examples import make_examples
from lxcompress.data.shapes.scenes import make_scene, render

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
QUESTION = "how many red shapes are there?"
HOSTILE = "is a <img src=x onerror=alert(1)> ${alert(1)} {{alert(1)}} <b>red</b> circle?"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as headless:
        yield headless


@pytest.fixture
def opened(browser: Any, served: Served) -> Iterator[Any]:
    """Open pages; at the end, none may have logged an error or contacted another server."""
    requested, errors, contexts = [], [], []

    def open_page(**options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        context.on("request", lambda request: requested.append(request.url))
        page = context.new_page()
        page.on("pageerror", lambda problem: errors.append(str(problem)))
        page.on("dialog", lambda dialog: errors.append(dialog.message))
        page.goto(served.address)
        page.wait_for_selector("#ask")
        page.wait_for_selector("#picture input[type=file]", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert requested
    origins = {re.sub(r"^(\w+:(//[^/]*)?).*", r"\1", url) for url in requested}
    assert origins - {"data:", "blob:"} == {served.address.rstrip("/")}
    assert errors == []


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "scene.png"
    render(make_scene(0, "demo", 3)).save(path)
    return path


def upload(page: Any, path: Path) -> None:
    page.locator("#picture input[type=file]").first.set_input_files(str(path))


def ask(page: Any, question: str) -> None:
    page.fill("#question textarea", question)
    page.press("#question textarea", "Enter")


def read_card(page: Any, kind: str) -> str:
    """The text of the answer card, once it matches the selector `kind`."""
    card = page.locator(f"#answer {kind}")
    card.wait_for()
    return card.inner_text()


def overflows(page: Any) -> bool:
    """Whether the page scrolls horizontally."""
    return page.evaluate("document.documentElement.scrollWidth > window.innerWidth")


def measure_regions(page: Any, min_brightness: float = 0) -> list[int]:
    """Width, height and mean brightness of the picture of regions, once it is as bright."""
    page.locator("#regions img").wait_for()
    measured = page.wait_for_function(
        """minimum => {
            // The image may be replaced at any moment, so only a complete one is measured.
            const image = document.querySelector('#regions img');
            if (!image || !image.complete || !image.naturalWidth) return false;
            const canvas = document.createElement('canvas');
            canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0);
            const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
            let sum = 0;
            for (let at = 0; at < data.length; at += 4) sum += data[at];
            const bright = sum / data.length * 4;
            return bright >= minimum && [canvas.width, canvas.height, bright];
        }""",
        arg=min_brightness,
    )
    return measured.json_value()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_upload_a_picture_and_ask(
    opened: Any, service: Service, scene: Path, size: dict[str, int]
) -> None:
    page = opened(viewport=size, color_scheme="dark" if size == PHONE else "light")
    assert not overflows(page)
    upload(page, scene)
    ask(page, QUESTION)
    expected = service.ask(scene, QUESTION)
    assert expected.main and expected.dense and service.models.dense
    card_text = read_card(page, ".lx-given")
    assert expected.main.text in card_text and QUESTION in card_text
    assert ("same answer" in card_text) == expected.agree
    for kind, answer, file in (
        ("ticket", expected.main, service.models.main),
        ("dense", expected.dense, service.models.dense),
    ):
        card = page.locator(f"#probabilities .lx-{kind}")
        assert [row.inner_text() for row in card.locator("th").all()] == [
            text for text, _ in answer.likeliest
        ]
        facts = card.locator(".lx-facts").inner_text()
        assert f"{file.bytes / 1e6:.2f} MB" in facts and re.search(r"\d\.\d ms", facts)
    widths = page.locator("#probabilities .lx-ticket .lx-bar").evaluate_all(
        "bars => bars.map(bar => bar.getBoundingClientRect().width)"
    )
    assert widths == sorted(widths, reverse=True) and widths[0] > 0
    width, height, brightness = measure_regions(page)
    assert (width, height) == (640, 640)

    # No regions, by the keyboard on the slider: nothing is dimmed.
    before = page.locator("#regions img").get_attribute("src")
    page.focus("#count input[type=range]")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "before => document.querySelector('#regions img').src !== before"
        " && document.querySelector('#count input[type=range]').value === '0'",
        arg=before,
    )
    assert measure_regions(page, min_brightness=brightness + 20)
    for summary in page.locator("details summary").all():
        summary.click()
    assert page.get_by_text('api_name="/ask"').is_visible()
    assert not overflows(page)


def test_an_example_is_answered_at_a_click(opened: Any, service: Service, tmp_path: Path) -> None:
    page = opened(viewport=DESKTOP)
    for number, example in enumerate(make_examples(tmp_path)[:2]):
        page.click(f".lx-examples button >> nth={number}")
        page.locator("#answer .lx-given").get_by_text(example.question).wait_for()
        expected = service.ask(example.picture, example.question)
        assert expected.main and expected.main.text in read_card(page, ".lx-given")
        assert page.input_value("#question textarea") == example.question
        page.locator("#picture img").wait_for()
        page.locator("#regions img").wait_for()
        shown = page.locator(".lx-examples img").nth(number)
        assert shown.evaluate("async image => { await image.decode(); return image.naturalWidth }")


def test_unreadable_and_large_files_are_reported(opened: Any, tmp_path: Path, scene: Path) -> None:
    page = opened(viewport=PHONE)
    page.click("#ask")
    assert "there is no question yet" in read_card(page, "[role=alert]").lower()
    ask(page, QUESTION)
    page.get_by_text("There is no picture yet").wait_for()
    (tmp_path / "text.png").write_text("hello")
    upload(page, tmp_path / "text.png")
    page.get_by_text("Not a picture that can be read").wait_for()
    assert not overflows(page)
    page.reload()
    page.wait_for_selector("#picture input[type=file]", state="attached")
    large = tmp_path / "<img src=x onerror=alert(1)>.png"
    large.write_bytes(b"\x89PNG" + bytes(50_000_000))
    upload(page, large)
    toast = page.get_by_test_id("toast-body")
    toast.wait_for()
    assert "at most 20 MB are accepted" in toast.inner_text()
    assert toast.locator("img").count() == 0
    page.get_by_test_id("toast-close").click()
    upload(page, scene)  # the page still works
    ask(page, QUESTION)
    read_card(page, ".lx-given")


def test_no_text_becomes_markup(opened: Any, scene: Path) -> None:
    page = opened(viewport=PHONE)
    upload(page, scene)
    ask(page, HOSTILE)
    card_text = read_card(page, ".lx-given")
    assert HOSTILE in card_text and "“img”" in card_text
    assert page.locator("#answer :is(img, script, b)").count() <= 1  # the dense model's answer
    assert page.locator("#answer .lx-question *").count() == 0
    assert not overflows(page)
    ask(page, "x" * 5000)
    assert "5,000 characters" in read_card(page, "[role=alert]")


def test_a_photograph_is_not_answered(opened: Any, tmp_path: Path) -> None:
    """Noise stands for a photograph; real ones are in tests/app/answers/test_known_inputs.py."""
    import numpy as np
    from PIL import Image

    path = tmp_path / "photograph.jpg"
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (120, 160, 3), np.uint8)).save(path)
    page = opened(viewport=DESKTOP)
    upload(page, path)
    card_text = read_card(page, ".lx-objection, #answer .lx-objection")
    assert "No answer for this picture" in card_text and "drawings of flat shapes" in card_text
    ask(page, QUESTION)
    page.wait_for_timeout(500)
    assert "No answer for this picture" in read_card(page, ".lx-objection")
    assert page.locator("#probabilities table").count() == 0


def test_the_page_can_be_used_by_keyboard(opened: Any) -> None:
    page = opened(viewport=DESKTOP)
    reached = []
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(e => e.getAttribute('aria-label') || e.innerText || e.tagName)"
                "(document.activeElement)"
            )
        )
    assert "Ask" in reached and "TEXTAREA" in reached and "What the model was trained on" in reached
    assert "Read answers aloud F8" in reached and "Upload file" in reached
    assert reached.index("TEXTAREA") < reached.index("Ask") < reached.index("Ask from Python")
    page.focus(".lx-examples button >> nth=0")
    page.keyboard.press("Enter")
    read_card(page, ".lx-given")
