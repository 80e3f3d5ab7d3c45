"""A figure of matplotlib as a file (PNG, SVG) and as an <svg> with the colours of the page."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.report.svg import COLOURS, LIGHT, STYLE, for_page, svg_file

Style = dict[Any, Any]  # matplotlib's settings by name
_DPI = 150


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn in several forms.

    name: distinguishes its ids from those of other figures.
    draw: returns a matplotlib Figure of a form ("file", "wide", or "narrow" for phones), in these
        colours and this style.
    """

    name: str
    draw: Callable[[str, Mapping[str, str], Style], Any]

    def png(self) -> bytes:
        """Return the content of a PNG file."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        figure, buffer = self.draw("file", LIGHT, {"figure.facecolor": "white"}), io.BytesIO()
        figure.set_dpi(_DPI)
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
        return buffer.getvalue()

    def svg(self) -> str:
        """Return the content of an SVG file; text is drawn as paths, independent of fonts."""
        style = {"figure.facecolor": "white", "svg.fonttype": "path", "svg.hashsalt": self.name}
        return self._svg("file", LIGHT, style)

    def inline(self, form: str, caption: str) -> str:
        """Return an <svg> for the page, in the form "wide" or "narrow"."""
        name = f"{self.name}-{form}"
        return for_page(self._svg(form, COLOURS, {"svg.hashsalt": name}), name, form, caption)

    def _svg(self, form: str, colours: Mapping[str, str], style: Style) -> str:
        import matplotlib

        figure = self.draw(form, colours, style)
        with matplotlib.rc_context({**STYLE, **style}):  # print_svg reads the settings again
            return svg_file(figure)
