"""All answers about one gradient on one page: text, Markdown or HTML. The HTML needs nothing but the file itself."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ..engine.files import check_place, write
from .automaton import Paths
from .crossings import mean_of
from .diagnosis import diagnose
from .edges import Array
from .flow import Flow, notes
from .heaviest import TopPaths
from .ledger import LAGS, Ledger
from .measure import has_a_norm, magnitude, norms_over, percent, smallest
from .missing import log10_of_whole
from .parts import Part
from .spectrum import StreamingSpectrum, streaming_spectrum
from .zeros import Zero

MOST_ROWS = 40
MOST_COLUMNS = 5  # numbers of crossings that have a column of their own in a spectrum, beside 0
MOST_EXPANSIONS = 2_000  # of the search for heavy paths: a report should not take minutes


class Answers(Protocol):
    """What a report asks a GradientTrace."""

    @property
    def paths(self) -> Paths: ...
    @property
    def total(self) -> Array: ...
    def ledger(self) -> Ledger: ...
    def flow(self) -> Flow: ...
    def by_crossings(self, name: str) -> list[Part]: ...
    def top_paths(self, k: int, *, most_expansions: int) -> TopPaths: ...
    def count_paths(self) -> int: ...
    def zeros(self) -> list[Zero]: ...


@dataclass(frozen=True)
class Section:
    """A table, the sentences above it, and the notes below it."""

    title: str
    sentences: tuple[str, ...]
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


def sections(trace: Answers) -> Iterator[Section]:
    """What there is to say, the most general first."""
    ledger, count = trace.ledger(), trace.count_paths()
    norm = float(norms_over(trace.total[None], 1)[0])
    size = magnitude(norm, None if has_a_norm(trace.total) else log10_of_whole(trace.paths), trace.total.dtype)
    yield Section(
        f"Gradient by {ledger.source}",
        (
            *_verdict(trace.paths),
            f"Norm {size}; {count:,} path{'s lead' if count != 1 else ' leads'} there.",
            "A share is the part of the gradient, with its sign, that comes along certain paths; the shares of all "
            "parts add up to 100 %. Norms do not add up.",
            *(f"Warning: {sentence}" for sentence in ledger.warnings),
            *(map(str, trace.zeros()[:3]) if norm < smallest(trace.total.dtype) else ()),
        ),
    )
    flow = trace.flow()
    if not ledger.missing:
        yield from _across(trace, flow)
    lags = [(str(at.lag), *ledger.written(at)) for at in ledger.lags()]
    yield _shortened(Section("By lag, from the loss back to the use", (_reach(ledger),), LAGS, tuple(lags)))
    if ledger.missing:
        return
    names = sorted({crossing.name for crossing in flow.crossings})
    for name in names if len(names) > 1 else []:
        parts = trace.by_crossings(name)
        rows = [
            (str(k), percent(p.share, p.log10), magnitude(p.norm, p.log10, p.gradient.dtype))
            for k, p in enumerate(parts)
            if p.connected
        ]
        mean = f"A path crosses in {name} {mean_of(parts):.2f} times on average, by share."
        if any(p.share < 0 for p in parts):
            mean += " Some shares are negative, so this may be below 0, or above the most there can be."
        yield _shortened(Section(f"By number of crossings in {name}", (mean,), ("times", "share", "norm"), tuple(rows)))
    if names:
        found = trace.top_paths(5, most_expansions=MOST_EXPANSIONS)
        top = tuple((str(path), *path.written) for path in found)
        others = ("all others together", percent(found.rest_share), magnitude(found.rest_norm))
        rest = () if found.all_listed else (others,)
        proven = "in exact order" if found.gap == 0 else "the heaviest that a short search found"
        yield Section("Heaviest single paths", (f"By where they cross time, {proven}.",), _PATHS, top + rest)


def _verdict(paths: Paths) -> tuple[str, ...]:
    """What the gradient of the losses does on its way back through time, whichever tensor it is traced to."""
    if all(node.place.step is None for node in paths.order.values()):
        return ()
    return (f"Back through time: {diagnose(paths.losses).sentences[0]}",)


def _reach(ledger: Ledger) -> str:
    if ledger.missing:
        return f"The gradient {ledger.missing}. There are no shares."
    horizon = ledger.horizon()
    if horizon is None:
        return "It is used at no time step, so there are no lags."
    return f"The last {horizon} steps bring 99 % of it." if horizon > 1 else "The last step brings 99 % of it."


def _across(trace: Answers, flow: Flow) -> Iterator[Section]:
    """The boundary flow, and the spectrum of each name if there are several, as in an LSTM."""
    names, found = sorted({c.name for c in flow.crossings}), flow.crossings
    rows = tuple((f"{b.after} to {b.after + 1}", *b.cells(found, no_path="no path")) for b in reversed(flow.boundaries))
    if rows:
        columns = ("steps", "net", *(f"in {crossing}" for crossing in found), "gross")
        below = tuple(notes(flow))
        yield _shortened(Section("What crosses from step to step", (), columns, rows, below))
    if len(names) > 1 and None not in trace.ledger().steps:
        for name in names:
            yield _spectrum(streaming_spectrum(trace.paths, name, trace.total))


def _spectrum(found: StreamingSpectrum) -> Section:
    few, most = min(found.shares.shape[1], MOST_COLUMNS + 1), found.shares.shape[1]
    rows = []
    for lag, shares, there in zip(found.lags, found.shares.tolist(), found.connected.tolist(), strict=True):
        known = [share if any_ else None for share, any_ in zip(shares, there, strict=True)]
        more = [share for share in known[few:] if share is not None]
        cells = known[:few] + ([sum(more) if more else None] if most > few else [])
        rows.append((str(lag), *("no path" if share is None else percent(share) for share in cells)))
    heads = ("lag", *(f"{k} times" for k in range(few)), *(["more"] if most > few else []))
    return _shortened(Section(f"By lag and by number of crossings in {found.name}", (), heads, tuple(rows)))


_PATHS = ("path", "share", "norm")


def _shortened(section: Section) -> Section:
    left_out = len(section.rows) - MOST_ROWS
    if left_out <= 0:
        return section
    said = f"The first {MOST_ROWS} rows; {left_out} more are left out."
    return replace(section, sentences=(*section.sentences, said), rows=section.rows[:MOST_ROWS])


def text(trace: Answers) -> str:
    lines: list[str] = []
    for section in sections(trace):
        lines += [section.title, "-" * len(section.title), *section.sentences]
        table = [section.columns, *section.rows] if section.columns else []
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines += ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in table]
        lines += [*section.notes, ""]
    return "\n".join(lines)


def markdown(trace: Answers) -> str:
    def cells(row: tuple[str, ...]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"

    lines: list[str] = []
    for section in sections(trace):
        lines += [f"## {section.title}", "", *(sentence + "\n" for sentence in section.sentences)]
        if section.columns:
            lines += [cells(section.columns), "|" + "--:|" * len(section.columns), *map(cells, section.rows), ""]
        lines += [note + "\n" for note in section.notes]
    return "\n".join(lines)


def page(trace: Answers) -> str:
    def row(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body: list[str] = []
    for level, section in enumerate(sections(trace)):
        heading = "h1" if level == 0 else "h2"
        body.append(f"<{heading}>{html.escape(section.title)}</{heading}>")
        body += [f"<p>{html.escape(sentence)}</p>" for sentence in section.sentences]
        if section.columns:
            rows = "\n".join(row(cells, "td") for cells in section.rows)
            body.append(f"<table>\n<thead>{row(section.columns, 'th')}</thead>\n<tbody>\n{rows}\n</tbody>\n</table>")
        body += [f"<p>{html.escape(note)}</p>" for note in section.notes]
    return _PAGE.format(title=html.escape(next(sections(trace)).title), body="\n".join(body))


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 50rem; padding: 0 1rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .1rem .8rem; text-align: right; border-bottom: 1px solid #8884; }}
</style>
{body}
</html>
"""

WRITERS: dict[str, Callable[[Answers], str]] = {".html": page, ".md": markdown, ".txt": text}


def save(trace: Answers, path: str | os.PathLike[str]) -> Path:
    """Write the report; a file that was there stays as it was unless the new one is complete."""
    target = Path(path)
    if target.suffix.lower() not in WRITERS:
        raise ValueError(f"a report is saved by the ending of its name, one of {', '.join(WRITERS)}; got {str(path)!r}")
    check_place(target)  # before the long work
    return write(target, WRITERS[target.suffix.lower()](trace).encode())
