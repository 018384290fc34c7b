"""Routes: sets of paths, given by expressions over their landmarks and combined with ~, & and |.

    across("c*")                 paths that cross time in the cell state only
    along("(i | g) c+ h")        in by the input gate or the candidate, along the cell, out once

`along` is matched against the whole word of a path, the names of its landmarks from source to loss; `across` against
its crossing word, which keeps only the landmarks that it leaves for another time step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

from . import expression as ex
from .expression import Expression, Letter, Mark

MOST_LAG = ex.MOST_TIMES  # of a truncation, which has a state for each step that is left


@dataclass(frozen=True)
class Route:
    """A set of paths. Made by `along`, `across`, `through`, `avoiding`, `tbptt`, `chunks`; combined with ~, & and |.

    kind: "along", "across", "not", "and" or "or". parts: an expression, or routes. text: how it was written.
    """

    kind: str
    parts: Any
    text: str

    def __invert__(self) -> Route:
        return Route("not", (self,), f"~{self.text}")

    def __and__(self, other: Route) -> Route:
        return Route("and", (self, checked(other)), f"({self.text} & {other.text})")

    def __or__(self, other: Route) -> Route:
        return Route("or", (self, checked(other)), f"({self.text} | {other.text})")

    def __str__(self) -> str:
        return self.text

    def crosses(self) -> bool:
        """Whether it asks how paths cross time."""
        return any(leaf.kind == "across" for leaf in self.leaves())

    def leaves(self) -> list[Route]:
        """The routes that it is combined of, each of kind "along" or "across"."""
        if self.kind in ("along", "across"):
            return [self]
        return [leaf for part in self.parts for leaf in part.leaves()]

    def letters(self) -> set[tuple[str, Letter]]:
        """All letters that it is written with, each with "along" or "across"."""
        return {(leaf.kind, letter) for leaf in self.leaves() for letter in ex.letters(leaf.parts)}

    def __bool__(self) -> bool:
        raise TypeError("a route is neither true nor false; combine routes with ~, & and |, not with not, and, or")


def along(text: str) -> Route:
    """The paths whose word, all their landmarks in order from source to loss, matches.

    c c c          three cell states           c*  c+  c?  c{2,5}  c^3    repetition
    (i | g) c      alternatives                .                          any one landmark
    !h             any landmark but h          h[3]  c[2:7]  c[2:]        only at that step, in that range of steps
    layer0/h       qualified by scope          c>                         a c that crosses a step here
    'my state'     a name with spaces or signs; a quote in it is doubled, 'it''s'

    Raises RouteError, pointing at the character that is wrong.
    """
    return Route("along", ex.parse(text), f'along("{text}")')


def across(text: str) -> Route:
    """The paths whose crossing word matches: the landmarks in which they cross time. Written as in `along`.

    h{5} is five crossings: five steps only where each goes from one step to the next. A connection over three steps
    is one crossing; `tbptt` and the ledger count steps.
    """
    return Route("across", ex.parse(text), f'across("{text}")')


def through(name: str) -> Route:
    """The paths that meet this landmark at least once."""
    return Route("along", ex.then(ex.star(ex.ANY), _one(name), ex.star(ex.ANY)), f'through("{name}")')


def avoiding(name: str) -> Route:
    """The paths that never meet this landmark."""
    return Route("not", (through(name),), f'avoiding("{name}")')


def tbptt(k: int) -> Route:
    """Truncated backpropagation through time: the paths that go over at most k steps from their loss, k up to 500.

    The same as to detach, for each loss apart, every state from more than k steps before it. A connection over three
    steps counts as three: it is lags that add up, not crossings, which `across(".{0,3}")` counts.
    """
    if _count(k, "tbptt", 0) > MOST_LAG:
        raise ValueError(
            f"tbptt({k}) would cost {k + 1} backward sweeps; k is at most {MOST_LAG}. Where time runs one way, the "
            "source is a weight and each loss reads the states of one step, the ledger has the same: "
            "ledger = trace.ledger(); "
            f"ledger.contributions[np.subtract.outer(ledger.loss_steps, ledger.steps) <= {k}].sum(axis=0)"
        )
    return Route("across", ex.within(k), f"tbptt({k})")


def chunks(n: int) -> Route:
    """Backpropagation in chunks of n steps, each detached from the one before it."""
    return Route("across", ex.star(ex.letter(Letter(chunk=_count(n, "chunks", 1)))), f"chunks({n})")


def detached(name: str, steps: Iterable[int]) -> Route:
    """The paths that survive if the landmark is detached where it leaves these steps (h-detach, Arpit et al. 2019).

    name: also with a scope, as in detached("layer0/h", [3, 5]); a mask of each layer is a route, combined with &.
    """
    if isinstance(steps, int):
        raise TypeError(f"detached takes a list of steps, such as [{steps}]; got the number {steps}")
    at = sorted({int(t) for t in steps})
    cut = ex.either(*(ex.letter(replace(landmark(name), first=t, end=t + 1)) for t in at))
    met = ex.then(ex.star(ex.ANY), cut, ex.star(ex.ANY))
    return Route("not", (Route("across", met, "..."),), f'detached("{name}", {_short(at)})')


def truncated_1997() -> Route:
    """The gradient of the first LSTM (Hochreiter and Schmidhuber 1997): errors that leave the cell state through a
    gate or the candidate go no further back in time. The same paths as tg.across("c*").

    Where gates read the cell state too (peepholes), the carousel alone is ~tg.along(".* .> (i | f | g | o) .*").
    """
    return replace(across("c*"), text="truncated_1997()")


def leak_only(state: str = "h", heard_by: str = "z | r | n") -> Route:
    """What is left of a GRU if no gate and no candidate hears the state: h -> h directly at every step.

    heard_by: the names of the gates and the candidate in a cell that calls them otherwise.
    """
    return replace(~along(f".* {state}> ({heard_by}) .*"), text="leak_only()")


def landmark(name: str) -> Letter:
    """What a name stands for, with a scope if it has one: "h", "layer0/h"."""
    if not isinstance(name, str):
        raise TypeError(f'a landmark is called by its name, such as "h"; got {name!r}')
    return cast(Letter, _one(name)[1]) if re.fullmatch(r"[\w/]+", name) else Letter(name)


def _short(steps: list[int]) -> str:
    return str(steps) if len(steps) <= 8 else f"[{steps[0]}, {steps[1]}, ... {steps[-1]}: {len(steps)} steps]"


def _one(name: str) -> Expression:
    parsed = ex.parse(name)
    if parsed[0] != "letter":
        raise ex.RouteError(
            f'one landmark is named here, such as "h" or "layer0/h[3]"; got {name!r}. If that is its name, quote it: '
            f'"{ex.quoted(name)}"'
        )
    return parsed


def _count(n: int, what: str, least: int) -> int:
    if isinstance(n, bool) or not isinstance(n, int) or n < least:
        raise ValueError(f"{what} takes a whole number from {least}; got {n!r}")
    return n


def checked(other: object) -> Route:
    if not isinstance(other, Route):
        raise TypeError(f'a route is made with tg.across("c*"), tg.along("... h") and the like; got {other!r}')
    return other


# A state of the automaton: what the rest of a path, read from the loss back, must still be. It is the route itself
# with its expressions reversed, or True or False where that is settled.

State = Any


def start(route: Route) -> State:
    """The state before anything was read."""
    if route.kind in ("along", "across"):
        return _leaf(route.kind, ex.reversed_(route.parts))
    return _combined(route.kind, [start(part) for part in route.parts])


def advance(state: State, landmark: Mark | None, crossing: Mark | None) -> State:
    """The state after an edge, with the letter that it is for `along` and the one that it is for `across`."""
    if isinstance(state, bool):
        return state
    kind, parts = state
    if kind in ("along", "across"):
        mark = landmark if kind == "along" else crossing
        return state if mark is None else _leaf(kind, ex.derivative(parts, mark))
    return _combined(kind, [advance(part, landmark, crossing) for part in parts])


def accepts(state: State) -> bool:
    """Whether a path that ends here belongs to the route."""
    if isinstance(state, bool):
        return state
    kind, parts = state
    if kind in ("along", "across"):
        return ex.accepts_empty(parts)
    found = [accepts(part) for part in parts]
    return not found[0] if kind == "not" else all(found) if kind == "and" else any(found)


def _leaf(kind: str, e: Expression) -> State:
    if e == ex.NOTHING:
        return False
    return True if e == ex.star(ex.ANY) else (kind, e)


def _combined(kind: str, parts: list[State]) -> State:
    if kind == "not":
        (part,) = parts
        return not part if isinstance(part, bool) else ("not", (part,))
    absorbing = kind == "or"
    if absorbing in [part for part in parts if isinstance(part, bool)]:
        return absorbing
    left = tuple(dict.fromkeys(part for part in parts if not isinstance(part, bool)))
    if not left:
        return not absorbing
    return left[0] if len(left) == 1 else (kind, left)
