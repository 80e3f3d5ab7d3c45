"""Plots of matplotlib as <svg> that takes its colours and fonts from the page.

matplotlib draws with stand-in colours, each of which becomes a CSS variable of page.html: one
drawing serves the light and the dark page.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from html import escape
from typing import Any

WIDTHS = {"wide": 7.2, "narrow": 3.75}  # inches: for a wide page and for a phone

COLOURS = {  # CSS variable of page.html: stand-in
    "ink": "#010200",
    "muted": "#010201",
    "grid": "#010202",
    "mask": "#010203",
    "values": "#010204",
    "unpruned": "#010205",
    "container": "#010206",
    "dense": "#010207",
    "ticket": "#010208",
    "control": "#010209",
}

# The same colours of the light page, for files. Those of ticket, mask and dense (bluish green,
# vermilion and slate blue) are distinguishable with colour blindness.
LIGHT = {
    "ink": "#1c1f23",
    "muted": "#59606a",
    "grid": "#d9dce0",
    "ticket": "#1a7f5a",
    "mask": "#c2571a",
    "dense": "#5d6f9c",
}

STYLE: dict[Any, Any] = {  # matplotlib's rcParams
    "svg.fonttype": "none",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": 9,
    "text.color": COLOURS["ink"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.edgecolor": COLOURS["grid"],
    "xtick.color": COLOURS["grid"],
    "ytick.color": COLOURS["grid"],
    "xtick.labelcolor": COLOURS["muted"],
    "ytick.labelcolor": COLOURS["ink"],
    "axes.titlesize": 9,
    "axes.titlecolor": COLOURS["ink"],
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.color": COLOURS["grid"],
    "ytick.left": False,
}


def themed(colours: Mapping[str, str]) -> dict[Any, Any]:
    """Return STYLE with other `colours`, such as LIGHT, in place of the stand-ins."""
    by_placeholder = {COLOURS[name]: colour for name, colour in colours.items()}
    return {key: by_placeholder.get(value, value) for key, value in STYLE.items()}


def svg_file(figure: Any) -> str:
    """A matplotlib Figure as an SVG file, without date and creator."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    file = io.StringIO()
    FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None, "Creator": None})
    return file.getvalue()


def for_page(svg: str, name: str, form: str, caption: str, description: str = "") -> str:
    """An SVG file as an <svg> of the page, of class `form` ("wide" or "narrow").

    `name` is unique within the page: it becomes the prefix of all ids. `description` says what the
    plot shows, for those who cannot see it.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\1{name}-", svg)
    # Older versions of matplotlib write "font: 9px FAMILY".
    svg = re.sub(r"(font: [\d.]+px|font-family:) [^;\"]*", r"\1 var(--font)", svg)
    for variable, stand_in in COLOURS.items():
        svg = svg.replace(stand_in, f"var(--{variable})")
    box = re.search(r'viewBox="[^"]+"', svg)
    assert box
    label = f'class="{form}" role="img" aria-label="{escape(caption)}" {box[0]}'
    if not description:
        return re.sub(r"<svg[^>]*>", f"<svg {label}>", svg, count=1)
    described = f'<desc id="{name}-description">{escape(description)}</desc>'
    start = f'<svg {label} aria-describedby="{name}-description">{described}'
    return re.sub(r"<svg[^>]*>", lambda _: start, svg, count=1)
