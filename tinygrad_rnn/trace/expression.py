"""Regular expressions over landmarks: how they are written, reversed, and differentiated.

    c c c          three cell states           c*  c+  c?  c{2,5}  c^3    repetition
    (i | g) c      alternatives                .                          any one landmark
    !h             any landmark but h          h[3]  c[2:7]  c[2:]        only at that step, in that range of steps
    layer0/h       qualified by scope          c>                         a c that crosses a step here
    'my state'     a name with spaces or signs; a quote in it is doubled, 'it''s'

The derivative of a set of words by a letter is what may follow that letter (Brzozowski 1964). It makes the automaton:
its states are the derivatives, and it is deterministic, so no path is counted twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, TypeAlias

_WORD = r"[^\W\d]\w*"
_QUOTED = r"'(?:[^']|'')+'"


UNNAMED = '_ : a crossing of an unnamed tensor; name it where it is made, with .named("h") or the like.'


class Mark(NamedTuple):
    """A letter that a path is read as: a landmark, or a crossing named after the landmark it leaves."""

    name: str
    scope: str
    step: int | None  # of the producer
    to_step: int | None  # of the consumer: where it differs, the edge crosses

    @property
    def crosses(self) -> bool:
        return self.step is not None and self.to_step is not None and self.step != self.to_step

    @property
    def lag(self) -> int:
        """Over how many steps the edge goes, forward or backward."""
        return abs(self.to_step - self.step) if self.step is not None and self.to_step is not None else 0


@dataclass(frozen=True)
class Letter:
    """What one letter of an expression stands for.

    name: None for any. but: whether it stands for any landmark except this one. scope: a part of the landmark's scope.
    first, end: the range of steps; None for no bound. crossing: only where the path crosses a step. chunk: only within
    chunks of so many steps.
    """

    name: str | None = None
    but: bool = False
    scope: str = ""
    first: int | None = None
    end: int | None = None
    crossing: bool = False
    chunk: int | None = None

    def stands_for(self, mark: Mark) -> bool:
        if self.name is not None and (self._is_called(mark) == self.but):
            return False
        if self.crossing and not mark.crosses:
            return False
        if self.first is not None and (mark.step is None or mark.step < self.first):
            return False
        if self.end is not None and (mark.step is None or mark.step >= self.end):
            return False
        if self.chunk is not None and mark.crosses:
            return mark.step // self.chunk == mark.to_step // self.chunk  # type: ignore[operator]
        return True

    def __str__(self) -> str:
        """As it is written in a route."""
        name = "." if self.name is None else quoted(self.name)
        first, end = ("" if step is None else step for step in (self.first, self.end))
        one = self.first is not None and self.end == self.first + 1
        steps = f"[{first}]" if one else f"[{first}:{end}]" if (first, end) != ("", "") else ""
        first_scope, *scopes = self.scope.split("/")
        scope = "/".join(
            [quoted(first_scope), *(one if re.fullmatch(r"\w+", one) else quoted(one) for one in scopes), ""]
        )
        return f"{'!' * self.but}{scope if self.scope else ''}{name}{steps}{'>' * self.crossing}"

    def _is_called(self, mark: Mark) -> bool:
        return mark.name == self.name and (not self.scope or f"/{self.scope}/" in f"/{mark.scope}/")


def quoted(name: str) -> str:
    """A name as routes read it: h, 'my state', 'it''s'."""
    return name if re.fullmatch(_WORD, name) else "'" + name.replace("'", "''") + "'"


# An expression is a tuple, so that it can be compared, hashed and shared.
Expression: TypeAlias = tuple[Any, ...]

NOTHING: Expression = ("nothing",)  # no word at all
EMPTY: Expression = ("empty",)  # the empty word


def letter(what: Letter) -> Expression:
    return ("letter", what)


ANY = letter(Letter())


def then(*parts: Expression) -> Expression:
    """One after the other."""
    flat: list[Expression] = []
    for part in parts:
        if part == NOTHING:
            return NOTHING
        if part != EMPTY:
            flat += part[1] if part[0] == "then" else [part]
    return ("then", tuple(flat)) if len(flat) > 1 else (*flat, EMPTY)[0]


def either(*parts: Expression) -> Expression:
    """Any one of them; order and repetition do not matter, which keeps the number of derivatives finite."""
    flat: set[Expression] = set()
    for part in parts:
        flat |= part[1] if part[0] == "either" else {part}
    flat.discard(NOTHING)
    if ("star", ANY) in flat:
        return ("star", ANY)
    if len(flat) <= 1:
        return next(iter(flat), NOTHING)
    return ("either", frozenset(flat))


def star(part: Expression) -> Expression:
    """Zero or more of it."""
    if part in (NOTHING, EMPTY):
        return EMPTY
    return part if part[0] == "star" else ("star", part)


def times(part: Expression, low: int, high: int | None) -> Expression:
    """From `low` to `high` of it; None for no limit."""
    if part in (NOTHING, EMPTY):
        return EMPTY if low == 0 else part
    if high is None and low == 0:
        return star(part)
    if high == 0:
        return EMPTY
    return part if low == high == 1 else ("times", part, low, high)


def within(lag: int) -> Expression:
    """Any crossings that go over so many steps at most, all together; one over three steps counts as three."""
    return ("within", lag)


def accepts_empty(e: Expression) -> bool:
    """Whether the empty word belongs to it."""
    match e[0]:
        case "empty" | "star" | "within":
            return True
        case "then":
            return all(map(accepts_empty, e[1]))
        case "either":
            return any(map(accepts_empty, e[1]))
        case "times":
            return e[2] == 0 or accepts_empty(e[1])
    return False


def derivative(e: Expression, mark: Mark) -> Expression:
    """What may follow once `mark` was read."""
    match e[0]:
        case "letter":
            return EMPTY if e[1].stands_for(mark) else NOTHING
        case "then":
            ways = []
            for k, part in enumerate(e[1]):
                ways.append(then(derivative(part, mark), *e[1][k + 1 :]))
                if not accepts_empty(part):
                    break
            return either(*ways)
        case "either":
            return either(*(derivative(part, mark) for part in e[1]))
        case "star":
            return then(derivative(e[1], mark), e)
        case "times":
            _, part, low, high = e
            return then(derivative(part, mark), times(part, max(low - 1, 0), None if high is None else high - 1))
        case "within":
            return within(e[1] - mark.lag) if mark.lag <= e[1] else NOTHING
    return NOTHING


def reversed_(e: Expression) -> Expression:
    """The same words read backwards, as a backward sweep meets them."""
    match e[0]:
        case "then":
            return then(*map(reversed_, reversed(e[1])))
        case "either":
            return either(*map(reversed_, e[1]))
        case "star":
            return star(reversed_(e[1]))
        case "times":
            return times(reversed_(e[1]), *e[2:])
    return e


def letters(e: Expression) -> set[Letter]:
    """All letters it is written with."""
    match e[0]:
        case "letter":
            return {e[1]}
        case "then" | "either":
            return set().union(*map(letters, e[1]))
        case "star" | "times":
            return letters(e[1])
    return set()


def repetitions(e: Expression) -> set[Expression]:
    """All parts of it that are repeated a bounded number of times."""
    parts = e[1] if e[0] in ("then", "either") else e[1:2] if e[0] in ("star", "times") else ()
    return set().union({e} if e[0] == "times" else (), *map(repetitions, parts))


def unbounded(e: Expression, part: Expression) -> Expression:
    """It with one of its repetitions made to be of any number."""
    if e == part:
        return star(e[1])
    match e[0]:
        case "then":
            return then(*(unbounded(one, part) for one in e[1]))
        case "either":
            return either(*(unbounded(one, part) for one in e[1]))
        case "star" | "times":
            return (e[0], unbounded(e[1], part), *e[2:])
    return e


def written(e: Expression) -> str:
    """It as text, which `parse` reads as the same."""
    match e[0]:
        case "letter":
            return str(e[1])
        case "then":
            return " ".join(map(_grouped, e[1]))
        case "either":
            return " | ".join(sorted(map(written, e[1])))
        case "star":
            return f"{_grouped(e[1])}*"
        case "times":
            _, part, low, high = e
            return f"{_grouped(part)}{{{low}{'' if low == high else ',' if high is None else f',{high}'}}}"
    return ""


def _grouped(e: Expression) -> str:
    return written(e) if e[0] in ("letter", "star", "times") else f"({written(e)})"


# Parsing ----------------------------------------------------------------------------------------------------------

_PATH = rf"(?:{_WORD}|{_QUOTED})(?:/(?:\w+|{_QUOTED}))*/?"
_TOKEN = re.compile(rf"\s*(?:(?P<name>!?{_PATH}|\.)|(?P<number>\d+)|(?P<sign>[()|*+?{{}}\[\],:>^])|(?P<end>$))")
_PART = re.compile(rf"{_QUOTED}|[^/]+")
_OPEN_QUOTE = "there is no closing quote for this; a quote within a name is doubled, as in 'it''s'"

_NO_TOKEN = {
    "!": "! is followed by one name, as in !h",
    "'": _OPEN_QUOTE,
    "&": "routes are combined outside the text, as in tg.across(...) & tg.along(...)",
    "~": "a route is turned round outside the text, as in ~tg.across(...)",
}
MOST_NESTED = 50  # parentheses within one another
MOST_TIMES = 500  # each repetition is a state of the automaton, which costs a backward sweep


class RouteError(ValueError):
    """A route that cannot be read; the message points at the character."""


def parse(text: str) -> Expression:
    """The expression that a text stands for. Raises RouteError, pointing at the character that is wrong."""
    if not isinstance(text, str):
        raise TypeError(f'a route is written as text, such as "c*"; got {text!r}')
    reader = _Reader(text)
    result = reader.alternatives()
    if not reader.at_end():
        problem = {")": "there is no ( for this )", ">": "> stands right after the name, before any * + ? or {}"}
        reader.fail(problem.get(reader.peek()["sign"], "this does not belong here"))
    return result


class _Reader:
    """A recursive-descent reader of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0

    def peek(self) -> re.Match[str]:
        found = _TOKEN.match(self.text, self.position)
        if found is None:
            self.position += len(self.text[self.position :]) - len(self.text[self.position :].lstrip())
            self.fail(_NO_TOKEN.get(self.text[self.position], "a route has no such character"))
        return found

    def at_end(self) -> bool:
        return self.peek()["end"] is not None

    def sees(self, sign: str) -> bool:
        return self.peek()["sign"] == sign

    def take(self) -> str:
        found = self.peek()
        self.position = found.end()
        return found.group(found.lastgroup or 0)

    def skip(self, sign: str) -> bool:
        if self.sees(sign):
            self.take()
            return True
        return False

    def fail(self, problem: str, at: int | None = None) -> NoReturn:
        at = self.position if at is None else at
        at += len(self.text[at:]) - len(self.text[at:].lstrip()) if at < len(self.text) else 0
        raise RouteError(f"{problem}:\n    {self.text}\n    {' ' * at}^")

    def alternatives(self) -> Expression:
        parts = [self.sequence()]
        while self.skip("|"):
            parts.append(self.sequence())
        return either(*parts)

    def sequence(self) -> Expression:
        parts = []
        while self.peek()["name"] or self.sees("("):
            parts.append(self.repeated())
        return then(*parts)

    def repeated(self) -> Expression:
        part = self.atom()
        while True:
            if self.skip("*"):
                part = star(part)
            elif self.skip("+"):
                part = times(part, 1, None)
            elif self.skip("?"):
                part = times(part, 0, 1)
            elif self.skip("^"):
                part = times(part, *[self.times()] * 2)
            elif self.sees("{"):
                part = times(part, *self.counts())
            else:
                return part

    def counts(self) -> tuple[int, int | None]:
        start = self.position
        self.take()
        low = self.times()
        high: int | None = low
        if self.skip(","):
            high = None if self.sees("}") else self.times()
        if not self.skip("}"):
            self.fail("repetition is written {3}, {2,5} or {2,}")
        if high is not None and high < low:
            self.fail(f"from {low} to {high} times is never", start)
        return low, high

    def times(self) -> int:
        start = self.position
        count = self.number()
        if count > MOST_TIMES:
            self.fail(f"a route repeats at most {MOST_TIMES} times, since each costs a backward sweep", start)
        return count

    def number(self) -> int:
        if not self.peek()["number"]:
            self.fail("a whole number is missing")
        return int(self.take())

    def atom(self) -> Expression:
        start = self.position
        if self.skip("("):
            self.depth += 1
            if self.depth > MOST_NESTED:
                self.fail(f"parentheses stand at most {MOST_NESTED} deep", start)
            inside = self.alternatives()
            self.depth -= 1
            if not self.skip(")"):
                self.fail("there is no ) for this (", start)
            return inside
        word = self.take()
        but, path = word.startswith("!"), word.removeprefix("!")
        if path.endswith("/"):
            if self.text.startswith("'", self.position):
                self.fail(_OPEN_QUOTE)
            self.fail("a scope is followed by the name of a landmark, as in layer0/h", start)
        *scopes, name = (part[1:-1].replace("''", "'") if part[0] == "'" else part for part in _PART.findall(path))
        scope = "/".join(scopes)
        first, end = self.steps() if self.sees("[") else (None, None)
        crossing = self.skip(">")
        if self.sees("[") and first is None and end is None:
            first, end = self.steps()
        return letter(Letter(None if word == "." else name, but, scope, first, end, crossing))

    def steps(self) -> tuple[int | None, int | None]:
        start = self.position
        self.take()
        first = self.number() if self.peek()["number"] else None
        if self.skip(":"):
            end = self.number() if self.peek()["number"] else None
        elif first is None:
            self.fail("steps are written [3], [2:7], [2:] or [:7]", start)
        else:
            end = first + 1
        if not self.skip("]"):
            self.fail("steps are written [3], [2:7], [2:] or [:7]", start)
        return first, end
