"""Text made to fit a narrow terminal."""

from __future__ import annotations

import itertools
import re
import textwrap


def wrapped(line: str, wide: int) -> str:
    """A line broken at spaces to fit a terminal; a row goes on beside its title, and what is indented stays so."""
    if len(line) <= wide or not line.strip():
        return line
    title = re.match(r" {4}\S.{9} (?=\S)| *\S.{,20}? {2,}(?=\S)| *", line)
    indent = " " * min(title.end() if title else 0, wide // 3)
    return textwrap.fill(line, wide, subsequent_indent=indent, break_on_hyphens=False, replace_whitespace=False)


def in_one_column(text: str) -> str:
    """A table of two columns, one below the other, block by block; what is not indented stays."""
    found = []
    for indented, rows in itertools.groupby(text.splitlines(), lambda row: row.startswith(" ")):
        lines = list(rows)
        halves = [[row[:56].rstrip() for row in lines], ["    " + row[56:] for row in lines]] if indented else [lines]
        found += [row for half in halves for row in half if row.strip() or not indented]
    return "\n".join(found)
