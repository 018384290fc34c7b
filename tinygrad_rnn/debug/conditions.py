"""When to stop: conditions on a stop, written as a debugger's user writes them, and joined by `and`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..engine.primitives import TABLE
from ..engine.tensor import Tensor
from .labels import Labels
from .lines import NOT_RECORDED, line_of
from .stop import Stop

Test = Callable[[Stop], bool]

GRAMMAR = """\
nan               a NaN or an Inf is made here, forward or backward, out of what has none;   inf: an Inf only
forward           any forward event;   backward, seed: likewise
log               the operation log: it is computed, or its rule is applied;   op log
h, h[7]           the tensor h is made, or its gradient receives something;   name h
grad W            the gradient of W receives something
step 7            an event at time step 7
encoder/lstm      an event in that scope;   scope encoder/lstm
model.py:23, 23   an event of that line of the program;   line 23
norm > 10         of the result, forward, or of the contribution, backward;   norm < 1e-6
share > 5%        an edge that carries so much of the final gradient, whatever its sign;   share < 1e-3
not C             C is not so
C and D           both at once, as in   log and step 7 and backward;   for C or D set two break points"""


class ConditionError(ValueError):
    """A condition that cannot be read; the message says what can be written."""


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """Stop where `test` holds. hits: how often it has, going forward. ignored: how many hits to let pass."""

    number: int
    text: str
    test: Test
    hits: int = 0
    ignored: int = 0
    enabled: bool = True
    temporary: bool = False
    watch: str | None = None

    def __str__(self) -> str:
        notes = [f"hit {self.hits} time{'s' * (self.hits != 1)}"]
        notes += [f"lets the next {self.ignored} pass"] if self.ignored else []
        notes += ["temporary"] if self.temporary else []
        notes += [] if self.enabled else ["disabled"]
        kind = "watch" if self.watch else "break"
        return f"{self.number:>3}  {kind} {self.text}  ({', '.join(notes)})"


def condition(text: str, labels: Labels) -> Test:
    """The test that a text describes. Raises ConditionError."""
    parts = [part.strip() for part in re.split(r"\s+and\s+", text.strip())]
    if not all(parts):
        raise ConditionError("stop where? What can be written:\n" + GRAMMAR)
    # What is quick to see comes first: numbers are looked at only where all else holds.
    in_order = [test for _, test in sorted((_one(part, labels) for part in parts), key=lambda one: one[0])]
    return _all_of([lambda stop: stop.event is not None, *in_order])


def _all_of(tests: list[Test]) -> Test:
    """All of them, in order. (No generator inside: one that is thrown away swallows an interrupt.)"""
    if len(tests) == 1:
        return tests[0]
    first, rest = tests[0], _all_of(tests[1:])
    return lambda stop: first(stop) and rest(stop)


def _one(text: str, labels: Labels) -> tuple[int, Test]:
    """(cost, test)"""
    if " or " in text and not labels.find(name_and_step(text)[0]):
        raise ConditionError(f"«{text}»: there is no `or` here; for C or D set two break points")
    word, _, rest = text.partition(" ")
    rest = rest.strip()
    if word == "not" and rest:
        cost, test = _one(rest, labels)
        return cost, lambda stop: not test(stop)
    if compared := re.fullmatch(r"(norm|share)\s*(>=|<=|>|<)\s*(\S+)", text):
        return _compared(*compared.groups())
    if word in ("norm", "share") and not labels.find(word):
        raise ConditionError(f"«{text}»: it is compared with a number, as in `norm > 10` or `share > 5%`")
    if not rest and word in _READERS and not labels.find(word):
        raise ConditionError(f"which {word}? As in `{_READERS[word][1]}`")
    if not rest:
        if word == "nan":
            return 2, lambda stop: stop.makes is not None
        if word == "inf":
            return 2, lambda stop: stop.makes == "Inf"
        if word in ("forward", "backward", "seed"):
            return 0, lambda stop: stop.kind == word
        return _bare(word, labels)
    if word in _READERS:
        return 0, _READERS[word][0](rest, labels)
    if labels.find(text):
        return 0, _name(text, labels)
    raise ConditionError(f"«{text}» is no condition. {_MORE}")


_MORE = "What can be written is listed by `help break` at the prompt"


def _bare(word: str, labels: Labels) -> tuple[int, Test]:
    plain, _ = name_and_step(word)
    if labels.find(plain):
        return 0, _name(word, labels)
    if word in TABLE:
        return 0, _operation(word, labels)
    if word in labels.scopes() or any(scope.endswith(f"/{word}") for scope in labels.scopes()):
        return 0, _scope(word, labels)
    if re.fullmatch(r"(.+:)?\d+", word):
        return 0, _line(word, labels)
    known = {*labels.named, *labels.scopes(), *TABLE, "nan", "inf", "forward", "backward"}
    near = labels.nearest(plain, known)
    hint = near if near.startswith("; did") else f"{labels.nearest('')}. {_MORE}".replace(", ....", ", ...")
    raise ConditionError(f"«{word}» is no name, operation or scope here{hint}")


def name_and_step(text: str) -> tuple[str, int | None]:
    """h[3] -> h, 3"""
    found = re.fullmatch(r"(.+?)\[(-?\d+)\]", text.strip().strip("'\""))
    return (found.group(1).strip(), int(found.group(2))) if found else (text.strip().strip("'\""), None)


def tensors_called(text: str, labels: Labels) -> list[Tensor]:
    """The nodes of a name, or of a name at a step. Raises ConditionError where there is none."""
    name, step = name_and_step(text)
    found = labels.find(name, step)
    if not found and step is not None and labels.find(name):
        raise ConditionError(f"there is no {name} at step {step}; {labels.steps(labels.find(name))}")
    if not found:
        raise ConditionError(f"nothing here is called «{name}»{labels.nearest(name, labels.named)}")
    return found


def the_one_called(text: str, labels: Labels) -> Tensor:
    """The node of a name, or of a name at a step. Raises ConditionError where there is none, or several."""
    found = tensors_called(text, labels)
    if len(found) > 1:
        raise ConditionError(f"{len(found)} tensors are called {text}: {labels.which(found)}")
    return found[0]


def _indices_of(text: str, labels: Labels) -> set[int]:
    return {node.index for node in tensors_called(text, labels)}


def _name(text: str, labels: Labels) -> Test:
    wanted = _indices_of(text, labels)
    if not any(labels.timeline.made_at(index) >= 0 or _receives(index, labels) for index in wanted):
        raise ConditionError(f"nothing ever happens to {text} here: it is given, and no gradient flows to it")
    return lambda stop: stop.target is not None and stop.target.index in wanted


def _gradient(text: str, labels: Labels) -> Test:
    wanted = _indices_of(text, labels)
    if not any(_receives(index, labels) for index in wanted):
        raise ConditionError(f"no gradient ever flows to {text} here")
    return lambda stop: stop.kind != "forward" and stop.target is not None and stop.target.index in wanted


def _receives(index: int, labels: Labels) -> bool:
    return bool(labels.timeline.edges_into(index)) or index in labels.timeline.seeds


def _operation(text: str, labels: Labels) -> Test:
    used = {node.primitive.name for node in labels.timeline.order.values() if node.primitive is not None}
    if text not in used:
        raise ConditionError(f"no operation here is «{text}»{labels.nearest(text, used)}")
    return lambda stop: stop.operation == text and stop.kind != "seed"


def _step(text: str, labels: Labels) -> Test:
    if not re.fullmatch(r"-?\d+", text):
        raise ConditionError(f"a time step is a whole number, as in `step 7`; got «{text}»")
    wanted = int(text)
    steps = {node.place.step for node in labels.timeline.order.values() if node.primitive is not None}
    if wanted not in steps:
        known = sorted(step for step in steps if step is not None)
        there = f"steps are {known[0]} to {known[-1]}" if known else "nothing here is at a time step"
        raise ConditionError(f"nothing is computed at step {wanted}; {there}")
    return lambda stop: stop.step == wanted


def _scope(text: str, labels: Labels) -> Test:
    if not any(f"/{text}/" in f"/{scope}/" for scope in labels.scopes()):
        raise ConditionError(f"there is no scope «{text}»{labels.nearest(text, labels.scopes())}")
    return lambda stop: f"/{text}/" in f"/{stop.scope}/"


def _line(text: str, labels: Labels) -> Test:
    file, _, number = text.rpartition(":")
    if not number.isdecimal():
        raise ConditionError(f"a line is a number, or a file and a number as in model.py:23; got «{text}»")
    lines = [line for node in labels.timeline.order.values() if (line := line_of(node)) is not None]
    if not lines:
        raise ConditionError(f"cannot stop at a line: lines are {NOT_RECORDED}")
    wanted = int(number)
    there = [line for line in lines if not file or Path(line.file).name == Path(file).name]
    if not any(line.number == wanted for line in there):
        known = sorted({str(line) for line in there or lines}, key=lambda one: (len(one), one))
        shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        raise ConditionError(f"no operation was made at line «{text}»; there are {shown}")

    def at_line(stop: Stop) -> bool:
        line = stop.line
        return line is not None and line.number == wanted and (not file or Path(line.file).name == Path(file).name)

    return at_line


_READERS: dict[str, tuple[Callable[[str, Labels], Test], str]] = {  # with an example
    "op": (_operation, "op log"), "name": (_name, "name h"), "grad": (_gradient, "grad W"), "step": (_step, "step 7"),
    "scope": (_scope, "scope encoder/lstm"), "line": (_line, "line model.py:23"),
}  # fmt: skip


def _compared(what: str, sign: str, limit_text: str) -> tuple[int, Test]:
    try:
        percent = limit_text.endswith("%")
        limit = float(limit_text.removesuffix("%")) / (100.0 if percent else 1.0)
    except ValueError:
        raise ConditionError(
            f"{what} {sign} wants a number, as in `norm > 10` or `share > 5%`; got «{limit_text}»"
        ) from None
    if math.isnan(limit):
        raise ConditionError("nothing is above or below nan; `nan` alone stops where one is made")

    def size(stop: Stop) -> float | None:
        found = stop.norm if what == "norm" else stop.share
        return None if found is None else abs(found)

    above, equal = ">" in sign, "=" in sign

    def test(stop: Stop) -> bool:
        found = size(stop)
        if found is None:
            return False
        return (found > limit if above else found < limit) or (equal and found == limit)

    return 1, test
