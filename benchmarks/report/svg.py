from __future__ import annotations

import re
from html import escape
from typing import Any

WIDTHS = {"wide": 7.2, "narrow": 3.75}  # inches


COLOURS = {
    "ink": "#010200",
    "muted": "#010201",
    "grid": "#010202",
    "mask": "#010203",
    "values": "#010204",
    "unpruned": "#010205",
    "container": "#010206",
    "dense": "#010207",
    "ticket": "#010208",
}


STYLE: dict[Any, Any] = {
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


def for_page(svg: str, name: str, form: str, caption: str) -> str:
    """The drawing for a page that has others, without what belongs to a file of its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    # Names are unique in a file, not in a page.
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\1{name}-", svg)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 var(--font)", svg)
    for variable, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{variable})")
    box = re.search(r'viewBox="[^"]+"', svg)
    assert box
    label = f'class="{form}" role="img" aria-label="{escape(caption)}" {box[0]}'
    return re.sub(r"<svg[^>]*>", f"<svg {label}>", svg, count=1)
