"""Answers of several parts: a list and a dict that print a line for each, as one wants to read them at a prompt."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")
_NONE = "(none)"


class Listed(list[T]):
    """A list that prints an item a line."""

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or _NONE


class ListedByName(dict[str, T]):
    """A dict that prints a value a line; the values say their names themselves."""

    def __repr__(self) -> str:
        return "\n".join(map(str, self.values())) or _NONE
