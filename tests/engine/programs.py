"""Random programs: up to 14 operations on small arrays, as plain data, to be run by any library.

operands.py draws them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
Library = dict[str, Callable[..., Any]]
How = dict[str, Any]


class Step(NamedTuple):
    operation: str
    inputs: tuple[int, ...]  # which values: the inputs of the program first, then the results of its steps
    how: How


class Program(NamedTuple):
    """The loss is the sum over some values (those that nothing uses), each times an array of weights."""

    inputs: tuple[Array, ...]
    steps: tuple[Step, ...]
    weights: dict[int, Array]

    def __str__(self) -> str:
        lines = [f"v{k} = {x!r}" for k, x in enumerate(self.inputs)]
        for k, (operation, inputs, how) in enumerate(self.steps, len(self.inputs)):
            lines.append(f"v{k} = {operation}({', '.join(f'v{i}' for i in inputs)}, {how})")
        return "\n".join([*lines, f"loss = sum of {', '.join(f'v{k}' for k in self.weights)}"])


def values_of(program: Program, library: Library, inputs: list[Any]) -> list[Any]:
    values = list(inputs)
    for operation, used, how in program.steps:
        values.append(library[operation](*[values[k] for k in used], **how))
    return values


def loss_of(program: Program, library: Library, inputs: list[Any]) -> Any:
    values = values_of(program, library, inputs)
    terms = [library["sum"](library["weighted"](values[k], weights=w)) for k, w in program.weights.items()]
    total = terms[0]
    for term in terms[1:]:
        total = library["add"](total, term)
    return total


class Pool:
    """The values so far, and how to pick from them."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.values: list[Array] = []
        self.exact: list[bool] = []

    def add(self, value: Array, exact: bool) -> None:
        self.values.append(value)
        self.exact.append(exact)

    def one(self, suits: Callable[[Array], Any] = lambda x: True) -> int | None:
        """A value that suits, later ones more often."""
        found = [k for k, value in enumerate(self.values) if suits(value)]
        return None if not found else found[int(len(found) * np.sqrt(self.rng.random()))]

    def several(self, *suit: Callable[..., Any]) -> tuple[int, ...] | None:
        """Values of which each suits, given those before it."""
        chosen: list[int] = []
        for suits in suit:
            before = [self.values[k] for k in chosen]
            k = self.one(lambda x, suits=suits, before=before: suits(*before, x))
            if k is None:
                return None
            chosen.append(k)
        return tuple(chosen)

    def distinct(self, *operands: tuple[int | None, Any]) -> bool:
        """Whether these (index, value) have no elements that are nearly equal, other than exact ties."""
        values = np.broadcast_arrays(*[np.asarray(value) for _, value in operands])
        gap = np.abs(values[0] - values[1])
        exact = all(k is None or self.exact[k] for k, _ in operands)
        return bool(np.all((gap > 1e-6) | ((gap == 0) & exact)))
