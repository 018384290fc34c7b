"""How plots look: light or dark, for a slide or for paper; and the one place where a matplotlib figure is begun.

The colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart, lightened on dark ground;
lines differ by their markers too, and signs are blue and orange.
"""

from __future__ import annotations

import importlib
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..text.labels import visible
from .plot import Plot

MARKERS = ("o", "s", "^", "D", "v", "P", "<", "p")
FONT = "DejaVu Sans"  # comes with matplotlib, so that a plot is the same everywhere
MOST_KEY_ROWS = 5  # lines of a legend beside the axes
MOST_WRITTEN = 12  # rows and columns of a table, or bars, whose numbers are written beside their colours
INSTALL = 'plots are drawn by matplotlib, which is not installed: pip install "tinygrad_rnn[plot]"'


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours. series: of lines, in order. signs: from most negative to most positive. sizes: from small to large."""

    paper: str
    ink: str
    muted: str
    grid: str
    zero: str
    series: tuple[str, ...]
    signs: tuple[str, ...]
    sizes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Format:
    """inches: width and height. text: the size of letters, in points; heading: of titles. line, marker: of lines."""

    inches: tuple[float, float]
    text: float
    heading: float
    line: float
    marker: float


THEMES = {
    "light": Theme(
        paper="#FFFFFF",
        ink="#1A1A1A",
        muted="#6B6B6B",
        grid="#E3E3E3",
        zero="#C9C9C9",
        series=("#D55E00", "#0072B2", "#009E73", "#AA4A86", "#B87F00", "#56B4E9", "#2A2A2A", "#7A3FD0"),
        signs=("#7A3E00", "#E08A00", "#FFFFFF", "#3F9BD6", "#00406B"),
        sizes=("#F2F6FA", "#9CC7E4", "#3585BD", "#083B66"),
    ),
    "dark": Theme(
        paper="#14181D",
        ink="#F2F2F2",
        muted="#A5ADB5",
        grid="#2B323A",
        zero="#4A525B",
        series=("#FF8B3D", "#56B4E9", "#2CC79A", "#E79AC8", "#F0E442", "#C0C8D0", "#9A6BFF", "#B06A50"),
        signs=("#FFCF80", "#C97B00", "#1C2229", "#1F7FC0", "#A9DCFF"),
        sizes=("#1C2229", "#1B4F78", "#3E96D0", "#CDEBFF"),
    ),
}
FORMATS = {
    "slide": Format((13.333, 7.5), 17.0, 23.0, 2.6, 8.0),
    "paper": Format((7.0, 4.3), 8.0, 10.0, 1.3, 3.6),
}


@dataclass(frozen=True, slots=True)
class Canvas:
    """A figure begun: its axes, rows by columns, and how it is to look."""

    figure: Any
    axes: Any
    theme: Theme
    format: Format

    def series(self, k: int) -> dict[str, Any]:
        """Colour and marker of the line number k."""
        return {"color": self.theme.series[k % len(self.theme.series)], "marker": MARKERS[k % len(MARKERS)]}

    def colours(self, names: tuple[str, ...]) -> Any:
        """A colour map through these colours; what is masked stays clear."""
        colours = module("matplotlib.colors")
        return colours.LinearSegmentedColormap.from_list("tinygrad_rnn", names).with_extremes(bad=(0, 0, 0, 0))


def module(name: str) -> Any:
    """A module of matplotlib. Raises ImportError, which says what to install, where there is none."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(INSTALL) from error


def begin(theme: str, size: str, rows: int = 1, columns: int = 1, **grid: Any) -> Canvas:
    """An empty figure. theme: "light" or "dark"; size: "slide" or "paper"; grid: what Figure.subplots takes."""
    for what, value, known in (("theme", theme, THEMES), ("size", size, FORMATS)):
        if value not in known:
            raise ValueError(f"{what} is one of {', '.join(map(repr, known))}; got {value!r}")
    colours, format = THEMES[theme], FORMATS[size]
    figure = module("matplotlib.figure").Figure(figsize=format.inches, facecolor=colours.paper, layout="constrained")
    pad = format.text / 72
    figure.get_layout_engine().set(w_pad=pad / 3, h_pad=pad / 3, wspace=0.02, hspace=0.02)
    axes = figure.subplots(rows, columns, squeeze=False, **grid)
    canvas = Canvas(figure, axes, colours, format)
    for one in axes.flat:
        dress(canvas, one)
    return canvas


def dress(canvas: Canvas, axes: Any, grid: str = "both") -> None:
    """Lines, ticks and ground of one coordinate system; everything is said, so no setting of the user's shows."""
    theme, format = canvas.theme, canvas.format
    axes.set_facecolor(theme.paper)
    for side, spine in axes.spines.items():
        spine.set(color=theme.muted, linewidth=format.line * 0.4, visible=side in ("left", "bottom"))
    ticks: dict[str, Any] = {
        "color": theme.muted,
        "labelcolor": theme.ink,
        "labelsize": format.text * 0.85,
        "labelfontfamily": FONT,
        "width": format.line * 0.4,
        "length": format.text * 0.25,
        "direction": "out",
    }
    axes.tick_params(which="major", **ticks)
    axes.tick_params(which="minor", size=0)
    axes.set_axisbelow(True)
    axes.grid(False)
    if grid:
        axes.grid(True, axis=grid, which="major", color=theme.grid, linewidth=format.line * 0.4, linestyle="-")


def frame(canvas: Canvas, axes: Any) -> None:
    """For a heat map: a line all around, and no grid."""
    dress(canvas, axes, grid="")
    for spine in axes.spines.values():
        spine.set_visible(True)


def words(canvas: Canvas, axes: Any, title: str = "", x: str = "", y: str = "") -> None:
    """The heading and the names of the axes."""
    axes.set_title(title, loc="left", fontsize=canvas.format.text * 1.05, color=canvas.theme.ink)
    axes.set_xlabel(x, fontsize=canvas.format.text, color=canvas.theme.ink)
    axes.set_ylabel(y, fontsize=canvas.format.text, color=canvas.theme.ink)


def say(canvas: Canvas, axes: Any, text: str) -> None:
    """Words in the middle of a coordinate system, in place of what it cannot show."""
    axes.text(
        0.5,
        0.5,
        textwrap.fill(text, 46),
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=canvas.format.text,
        color=canvas.theme.ink,
        bbox={"facecolor": canvas.theme.paper, "edgecolor": canvas.theme.muted, "boxstyle": "round,pad=0.6"},
    )


def key(canvas: Canvas, axes: Any, handles: Sequence[Any], wide: float, below: bool = False) -> None:
    """The legend of what has a label, outside the axes, where it hides nothing: above them, or else below.

    wide: how much of the figure's width it may fill. Of more lines than fit there, it stands in the axes after all.
    """
    if not handles:
        return
    size = canvas.format.text * 0.85
    longest = max(len(handle.get_label()) for handle in handles)
    columns = int(wide * canvas.format.inches[0] * 72 / (size * (0.6 * longest + 4.5)))
    columns = max(1, min(len(handles), columns))
    rows = -(-len(handles) // columns)
    look = {"fontsize": size, "labelcolor": canvas.theme.ink, "ncols": columns, **_key_look(canvas)}
    if rows > MOST_KEY_ROWS:
        legend = axes.legend(handles=handles, loc="center right", **look)
    else:
        beside = axes.title.get_fontsize() * 1.6 if not below and axes.get_title(loc="left") else 0.0
        up = (beside + size * 0.4) / 72
        shift = module("matplotlib.transforms").ScaledTranslation(
            0, -up if below else up, canvas.figure.dpi_scale_trans
        )
        at = {"bbox_to_anchor": (0, 0 if below else 1), "bbox_transform": axes.transAxes + shift}
        loc = "upper left" if below else "lower left"
        legend = axes.legend(handles=handles, loc=loc, borderaxespad=0, **at, **look)
        boxes = module("matplotlib.offsetbox")
        room = boxes.DrawingArea(1, size * (1.6 * rows + 0.8))  # keeps its height free; a legend's width would squeeze
        axes.add_artist(boxes.AnchoredOffsetbox(loc, child=room, pad=0, borderpad=0, frameon=False, **at))
    legend.set_in_layout(False)  # long names must not squeeze the axes


def labelled(*several: Any) -> list[Any]:
    """What has a label in these axes, for their legend."""
    return [handle for axes in several for handle in axes.get_legend_handles_labels()[0]]


def whole_ticks(axis: Any) -> None:
    """Ticks at whole numbers, the same in every plot: every one, or every second, fifth, tenth and so on."""
    steps = {"nbins": 10, "steps": [1, 2, 5, 10], "integer": True, "min_n_ticks": 1}
    axis.set_major_locator(module("matplotlib.ticker").MaxNLocator(**steps))


def index_ticks(axis: Any, names: Any) -> None:
    """Ticks at whole positions, written as what stands there; the last one always, since it may have no step."""
    count = len(names)
    every = max(1, -(-count // 10))
    every = next(n for n in (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, every) if n >= every)
    at = list(range(0, count, every))
    if names[-1] == "none" and at[-1] != count - 1:
        at = [k for k in at if k <= count - 1 - every / 2] + [count - 1]
    axis.set_ticks(at, [str(names[k]) for k in at])


def percents(axis: Any) -> None:
    """Ticks of shares."""
    write = module("matplotlib.ticker").FuncFormatter(lambda share, _: with_minus(f"{100 * share:.0f}%"))
    axis.set_major_formatter(write)


def written_share(share: float) -> str:
    """A share as it stands in a cell or at a bar."""
    return with_minus(f"{share:.0%}") if abs(share) >= 0.01 else "–"


def with_minus(number: str) -> str:
    """A number with true minus signs."""
    return number.replace("-", "−")


def _key_look(canvas: Canvas) -> dict[str, Any]:
    theme = canvas.theme
    return {"facecolor": theme.paper, "edgecolor": theme.grid, "framealpha": 0.9, "frameon": True, "fancybox": True}


def colour_bar(
    canvas: Canvas, image: Any, axes: Any, ticks: Sequence[float], names: Sequence[str], scale: str = ""
) -> None:
    """Beside a heat map, with these ticks. scale: how colours go with numbers, where not in proportion."""
    bar = canvas.figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
    bar.set_ticks(list(ticks), labels=list(names))
    bar.ax.tick_params(
        color=canvas.theme.muted,
        labelcolor=canvas.theme.ink,
        labelsize=canvas.format.text * 0.8,
        labelfontfamily=FONT,
        width=canvas.format.line * 0.4,
    )
    bar.ax.tick_params(which="minor", size=0)
    if scale:
        bar.set_label(scale, fontsize=canvas.format.text * 0.8, color=canvas.theme.muted)
    bar.outline.set(edgecolor=canvas.theme.muted, linewidth=canvas.format.line * 0.4)


def finish(canvas: Canvas, title: str, alt_text: str, notes: Sequence[str] = (), warnings: Sequence[str] = ()) -> Plot:
    """Heading above, notes below, one font for all; the plot. warnings: the first notes, and the end of the alt text.

    The notes of a plot with warnings are as dark as its other words, so that nobody takes them for small print.
    """
    format, theme = canvas.format, canvas.theme
    heading = textwrap.fill(title, int(format.inches[0] * 72 / (format.heading * 0.66)))
    canvas.figure.suptitle(heading, x=0.012, ha="left", fontsize=format.heading, color=theme.ink, fontweight="bold")
    if notes or warnings:
        size = format.text * 0.8
        below = "\n".join(_filled(canvas, drawable(note), size) for note in (*warnings, *notes))
        colour = theme.ink if warnings else theme.muted
        canvas.figure.supxlabel(below, x=0.012, ha="left", fontsize=size, color=colour)
    text_class = module("matplotlib.text").Text
    for text in canvas.figure.findobj(text_class):
        text.set(fontfamily=FONT, parse_math=False, usetex=False)
        if text.get_text():
            text.set_text(drawable(text.get_text()))
    return Plot(canvas.figure, title, " ".join((alt_text, *warnings)))


def _filled(canvas: Canvas, text: str, size: float) -> str:
    """The text in lines that are not wider than the figure, whatever letters they are of."""
    room = 0.976 * canvas.figure.bbox.width
    wide = int(canvas.format.inches[0] * 72 / (size * 0.54))
    measured = canvas.figure.text(0, 0, "", fontsize=size, fontfamily=FONT, parse_math=False)
    while True:
        lines = textwrap.fill(text, wide)
        measured.set_text(lines)
        width = measured.get_window_extent().width
        if width <= room:
            measured.remove()
            return lines
        wide = min(wide - 1, int(wide * room / width) + 4)


def drawable(text: str) -> str:
    """The text with what the font has no glyph for as ‹U+4E2D›, so that nothing is an empty box, or a warning."""
    glyphs = _glyphs()
    return "".join(c if c == "\n" or ord(c) in glyphs else f"‹U+{ord(c):04X}›" for c in text)


def _glyphs() -> Any:
    fonts = module("matplotlib.font_manager")
    return fonts.get_font(fonts.findfont(FONT)).get_charmap()


def shown(name: str | None, otherwise: str) -> str:
    """A name that a user gave, safe to print."""
    return visible(name) if name else otherwise


def series_label(text: str) -> str:
    """A name for the legend, from which matplotlib leaves out those that begin with an underscore."""
    return f"\u200a{text}" if text.startswith("_") else text
