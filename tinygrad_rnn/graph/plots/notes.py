"""Words that plots of ledgers have in common: what each source is called, and what its reader must be told."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...trace import Ledger, Spectrum, StreamingSpectrum
from ..text.labels import visible
from .numbers import Table

MOST_WARNINGS = 1  # that is written out below a plot; the others are mostly like it
LONGEST_WARNING = 420  # in characters
MOST_NAMES = 3  # of sources that a warning is about


def warnings_of(ledgers: Mapping[str, Ledger | Spectrum | StreamingSpectrum]) -> list[str]:
    """The warnings that these ledgers print, each once; with the names of those it is about, if not about all."""
    about: dict[str, list[str]] = {}
    for name, ledger in ledgers.items():
        for sentence in ledger.warnings:
            about.setdefault(_without_its_middle(sentence), []).append(name)
    found = [
        f"Warning{'' if len(names) == len(ledgers) else f' on {_listed(names)}'}: {sentence}"
        for sentence, names in about.items()
    ]
    more = len(found) - MOST_WARNINGS
    rest = [f"{more} more warning{'s' * (more != 1)}: print it to read all."] if more > 0 else []
    return found[:MOST_WARNINGS] + rest


def _listed(names: list[str]) -> str:
    few = names if len(names) <= MOST_NAMES else names[: MOST_NAMES - 1]
    more = [f"{len(names) - len(few)} others"] if len(few) < len(names) else []
    return "; ".join([*map(visible, few), *more])


def _without_its_middle(sentence: str) -> str:
    """A sentence in which a very long name is cut, and what it says about it is not."""
    if len(sentence) <= LONGEST_WARNING:
        return sentence
    return f"{sentence[:80]} ... {sentence[80 - LONGEST_WARNING :]}"


def zero_note(certain: bool) -> str:
    """On hollow marks."""
    return (
        "Hollow, at 0: a path exists and carries exactly 0; it has not just vanished."
        if certain
        else "Hollow, at 0: exactly 0, or too small for a number; the ledger of the whole source can tell which."
    )


def range_notes(cells: Table) -> list[str]:
    """On norms that the plot shows and the ledger cannot hold, and on uses that have no step."""
    notes = []
    if cells.underflowed.any():
        notes.append("Some norms are too small for a number: the ledger holds 0 there, the plot their true size.")
    if cells.overflowed.any():
        notes.append("Some norms are too large for a number: the ledger holds inf there, the plot their true size.")
    if None in cells.ledger.steps:
        notes.append("none: uses outside the time loop.")
    return notes


def range_in_words(cells: Table) -> str:
    """The same for alt texts, counted."""
    rows, columns = cells.ledger.connected.shape
    cell = "cells" if rows > 1 else "contributions"
    zeros, none = int(cells.zero.sum()), int((~cells.ledger.connected).sum())
    text = ""
    if zeros:
        text += f" {zeros} of {rows * columns} {cell} {'are exactly 0' if cells.certain else 'are 0 or underflowed'}."
    if under := int(cells.underflowed.sum()):
        text += f" {under} underflowed: their norms are shown by logarithm."
    if over := int(cells.overflowed.sum()):
        text += f" {over} overflowed: their norms are shown by logarithm."
    if none:
        of = f"{none} of {rows * columns}"
        text += f" To {of} cells there is no path." if rows > 1 else f" From {of} uses there is no path."
    return text


def short_source(ledger: Ledger) -> str:
    """The source of a ledger as a title names it."""
    return visible(re.sub(r", shape \([^()]*\)$", "", ledger.source))


def at_step(step: int | None) -> str:
    """Step 3, or no step."""
    return "no step" if step is None else f"step {step}"
