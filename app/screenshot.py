"""Take the README's screenshot of the page, with an example answered.

    python -m app.screenshot runs/shapes-low-50 --output docs/demo.png

Needs Chromium on the path, and playwright (in the `dev` extra).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from PIL import Image

from app.answers.open_service import ServiceOptions, open_detector_of, open_service
from app.answers.served_files import ModelOptions, ServedFiles
from app.server import serve_page
from lxcompress.errors import LxcompressError
from lxcompress.system.files import atomic_path

_WIDTH, _HEIGHT = 1280, 900  # CSS pixels
_EXAMPLE = 1
_PALETTE_COLOURS = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--output", type=Path, default=Path("docs/demo.png"))
    parser.add_argument("--width", type=int, default=_WIDTH)
    parser.add_argument("--dark", action="store_true")
    options = parser.parse_args()
    files, running = ServedFiles.find(options.run, ModelOptions()), ServiceOptions()
    files.export()
    service = open_service(files, open_detector_of(files, running), running)
    with serve_page(service) as page, atomic_path(options.output) as temporary:
        take_screenshot(page.address, temporary, options.width, dark=options.dark)
        reduce_colours(temporary)
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")


def take_screenshot(address: str, path: Path, width: int = _WIDTH, *, dark: bool = False) -> None:
    """Write a PNG of the whole page after a click on an example.

    Raises:
        LxcompressError: Chromium is not installed.
    """
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise LxcompressError("Chromium is not on the path; install it for the screenshot")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": width, "height": _HEIGHT},
            color_scheme="dark" if dark else "light",
        )
        page.goto(address)
        for _ in range(3):  # the first answers are slower than usual
            page.click(f".lx-examples button >> nth={_EXAMPLE}")
            page.locator("#regions img").wait_for()
            page.wait_for_timeout(1000)
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        page.wait_for_timeout(500)
        page.screenshot(path=path, full_page=True, type="png")
        browser.close()


def reduce_colours(path: Path) -> None:
    """Give a PNG a palette of 256 colours, which makes its file a third of the size."""
    picture = Image.open(path).convert("RGB")
    picture.quantize(_PALETTE_COLOURS, kmeans=4, dither=Image.Dither.NONE).save(
        path, format="PNG", optimize=True
    )


if __name__ == "__main__":
    main()
