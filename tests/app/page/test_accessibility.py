"""The page for people who do not see the picture: axe-core finds nothing, answers can be heard.

Skipped where Chromium is missing; the first test also where npm is, or cannot install axe-core.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import Served, chromium

from benchmarks.browser.npm import install_locked
from lxcompress.errors import LxcompressError
from lxcompress.system.cache import writable_cache

AXE = Path(__file__).parents[2] / "support" / "axe"
QUESTION = "how many red shapes are there?"

# Headless Chromium has neither voices nor recognition; these record what the page asks of them.
SPEECH = """
    window.spoken = [];
    const voices = [
        {lang: 'en-US', localService: false, name: 'of a server'},
        {lang: 'de-DE', localService: true, name: 'other language'},
        {lang: 'en-GB', localService: true, name: 'of this machine'},
    ];
    Object.defineProperty(window, 'speechSynthesis', {value: {
        getVoices: () => voices,
        speak: (utterance) => window.spoken.push([utterance.voice.name, utterance.text]),
        cancel: () => window.spoken.push('cancelled'),
    }});
    window.SpeechSynthesisUtterance = class { constructor(text) { this.text = text; } };
    window.SpeechRecognition = class {
        start() {
            this.onstart();
            this.onresult({results: [[{transcript: 'is there a red circle'}]]});
        }
    };
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as headless:
        yield headless


def open_page(browser: Any, served: Served, script: str = "", **options: Any) -> Any:
    page = browser.new_page(**options)
    page.add_init_script(script)
    page.goto(served.address)
    page.wait_for_selector("#picture input[type=file]", state="attached")
    page.wait_for_selector("#lx-aloud")
    return page


def ask(page: Any, scene: Path) -> str:
    """Upload a picture and ask; return the answer."""
    page.locator("#picture input[type=file]").first.set_input_files(str(scene))
    page.locator("#picture img").wait_for()
    page.fill("#question textarea", QUESTION)
    page.press("#question textarea", "Enter")
    page.locator("#regions img").wait_for()
    return page.locator("#answer .lx-given .lx-headline").inner_text()


def test_axe_finds_no_violation(browser: Any, served: Served, scene: Path) -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs Node.js and npm")
    try:
        installed = install_locked(AXE, writable_cache(), "axe-core")
    except LxcompressError as problem:
        pytest.skip(str(problem))
    axe = (installed / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")

    def violations(page: Any) -> list[tuple[str, list[str]]]:
        page.wait_for_timeout(300)  # colours change gradually
        page.evaluate(axe)
        found = page.evaluate("async () => (await axe.run(document)).violations")
        return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]

    page = open_page(browser, served, SPEECH, color_scheme="light")
    assert violations(page) == []
    ask(page, scene)
    for summary in page.locator("details summary").all():
        summary.click()
    assert violations(page) == []
    page.close()
    page = open_page(browser, served, SPEECH, color_scheme="dark")
    ask(page, scene)
    assert violations(page) == []
    page.fill("#question textarea", "")
    page.click("#ask")
    page.locator("#answer [role=alert]").wait_for()
    assert violations(page) == []
    page.close()


def test_answers_are_announced_and_read_aloud_by_a_local_voice(
    browser: Any, served: Served, scene: Path
) -> None:
    page = open_page(browser, served, SPEECH)
    answer = ask(page, scene)
    announced = page.locator("#lx-live").inner_text()
    assert announced.startswith(f"Answer: {answer}.") and "Looked most at: " in announced
    assert page.evaluate("window.spoken") == []  # off by default
    page.keyboard.press("F8")
    assert page.get_attribute("#lx-aloud", "aria-pressed") == "true"
    assert page.evaluate("window.spoken") == ["cancelled", ["of this machine", announced]]
    page.fill("#question textarea", "")
    page.click("#ask")
    page.locator("#answer [role=alert]").wait_for()
    page.wait_for_function("window.spoken.length === 4")
    assert "no question yet" in page.evaluate("window.spoken[3][1]")
    page.keyboard.press("F8")
    assert page.evaluate("window.spoken.slice(4)") == ["cancelled"]
    assert page.get_attribute("#lx-aloud", "aria-pressed") == "false"
    page.close()


def test_a_question_is_dictated_on_request(browser: Any, served: Served) -> None:
    page = open_page(browser, served, SPEECH)
    page.click("#lx-dictation summary")
    assert "Chrome sends the recording to Google" in page.locator("#lx-dictation").inner_text()
    page.click("#lx-dictate")
    assert page.input_value("#question textarea") == "is there a red circle"
    assert page.locator("#lx-live").inner_text() == "Question: is there a red circle"
    page.keyboard.press("Enter")  # the question has the focus, and Gradio knows its text
    page.get_by_text("There is no picture yet").wait_for()
    page.close()


def test_a_failed_dictation_is_shown(browser: Any, served: Served) -> None:
    failing = """
        window.SpeechRecognition = class {
            start() { this.onstart(); this.onerror({error: 'not-allowed'}); this.onend(); }
        };
    """
    page = open_page(browser, served, SPEECH + failing)
    page.click("#lx-dictation summary")
    page.click("#lx-dictate")
    page.get_by_text("The question was not recognised: not-allowed.").wait_for()
    page.close()


def test_f8_is_left_to_a_browser_that_cannot_speak(browser: Any, served: Served) -> None:
    record = """
        window.addEventListener('keydown', (event) => {
            if (event.key === 'F8') window.prevented = event.defaultPrevented;
        });
    """
    mute = "delete Window.prototype.speechSynthesis; delete window.speechSynthesis;"
    for script, is_prevented in ((SPEECH, True), (mute, False)):
        page = browser.new_page()
        page.add_init_script(script + record)
        page.goto(served.address)
        page.wait_for_selector("#lx-aloud", state="visible" if is_prevented else "attached")
        page.keyboard.press("F8")
        assert page.evaluate("window.prevented") is is_prevented
        page.close()


def test_speech_that_a_browser_lacks_is_not_offered(browser: Any, served: Served) -> None:
    without = "delete window.SpeechRecognition; delete window.webkitSpeechRecognition;"
    no_voice = SPEECH.replace("localService: true", "localService: false")
    page = open_page(browser, served, no_voice + without)
    assert not page.locator("#lx-dictation").is_visible()
    page.click("#lx-aloud")
    page.locator("#lx-no-voice").wait_for()
    assert page.get_attribute("#lx-aloud", "aria-pressed") == "false"
    assert page.evaluate("window.spoken") == ["cancelled"]
    page.close()
