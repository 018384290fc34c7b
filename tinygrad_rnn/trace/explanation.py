"""The formula of backpropagation through time, with numbers in it.

    dL/dtheta = sum over i of  dL/ds_tau . ds_tau/ds_i . d+s_i/dtheta

s_i is everything that leaves step i: h in an RNN, (h, c) in an LSTM. d+ is the *direct* part, in which the earlier
state is held fixed; the total derivative in its place would count earlier uses again at every later step.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..engine.sweep import describe
from ..engine.tensor import Tensor
from .automaton import Paths, crosses
from .jacobians import State, check_elements, check_no_way_round, jacobian_of_step, partial_jacobian
from .measure import has_a_norm, is_beyond, magnitude, norms_over, percent, shares_of, spectral_norms
from .missing import log10_of_whole
from .reads import last_steps, running_sums, steps_read
from .scaled import added, log10_norms
from .uses import uses_of

Array = npt.NDArray[Any]
Format = Literal["text", "markdown", "latex"]
_ONE = "explain that of one step, tg.trace_gradient(losses[-1], to=...)"
MOST_WORK = 1e11  # multiplications, of all factors and their norms


@dataclass(frozen=True)
class Term:
    """One term of the sum. step: i, counted from 0. The three factors' spectral norms multiply to the bound.

    connected: False where the source is not used at this step. log10, log10_state: of the norm, and of that of
    ds_tau/ds_i, also where these underflow; -inf where they are exactly 0.
    """

    step: int
    lag: int
    loss_by_state: float
    state_by_state: float
    state_by_source: float
    norm: float
    share: float
    cumulative: float
    log10: float
    log10_state: float
    connected: bool
    contribution: Array

    @property
    def bound(self) -> float:
        """The product of the norms of the factors, which the norm of the term cannot exceed."""
        return self.loss_by_state * self.state_by_state * self.state_by_source

    @property
    def log10_bound(self) -> float:
        """log10 of the bound, also where that underflows; -inf where it is exactly 0."""
        if not self.loss_by_state or not self.state_by_source:
            return -math.inf
        return math.log10(self.loss_by_state) + self.log10_state + math.log10(self.state_by_source)


@dataclass(frozen=True, repr=False)
class Explanation:
    """The terms, nearest first; their sum; and the gradient that one backward sweep gives.

    log10: of the norm of that gradient, where no number holds it; -inf where it is exactly 0.
    """

    source: str
    states: tuple[str, ...]
    terms: tuple[Term, ...]
    total: Array
    gradient: Array
    log10: float | None = None

    @property
    def difference(self) -> float:
        """The norm of (sum of the terms - gradient of the backward sweep), relative to the latter; nan where no number
        holds that."""
        if self.log10 is not None and self.log10 > -math.inf:
            return math.nan
        difference, whole = norms_over(np.stack([self.total - self.gradient, self.gradient]), 1)
        return float(difference / whole) if whole else float(difference)

    def render(self, format: Format = "text") -> str:
        """The formula and the table as plain text, Markdown or LaTeX."""
        if format not in _RENDERERS:
            raise ValueError(f'an explanation is rendered as "text", "markdown" or "latex"; got {format!r}')
        return _RENDERERS[format](self)

    def __str__(self) -> str:
        return self.render()

    __repr__ = __str__


def explain(paths: Paths, gradient: Array) -> Explanation:
    """Compute every factor of the formula for one loss and a weight, an input or a state.

    Raises ValueError for losses of several steps, where no state crosses or one without a name does, and where a path
    meets no state or goes round one: such a path would be in no term.
    """
    if len(paths.losses) != 1:
        raise ValueError(f"explain() is about one loss, and these are {len(paths.losses)}: {_ONE}")
    (loss,), source = paths.losses, paths.source
    states = _states(paths)
    steps = sorted(states)
    names = tuple(_called(x, states[steps[-1]]) for x in states[steps[-1]])
    last = last_steps(paths.order).get(loss.index)
    if last != steps[-1]:
        raise ValueError(
            f"the loss is of step {last}, and the last state on the way there is that after step {steps[-1]}, "
            f"{', '.join(names)}: explain() is about a loss that reads the state after its own step. If that state has "
            'another name, give it the same, .named("h")'
        )
    others = steps_read(paths.order, loss) - {steps[-1]}
    if others:
        raise ValueError(
            f"explain() is about a loss of one step, and this one reads step {max(others)} as well as step "
            f"{steps[-1]}: {_ONE}"
        )
    check_elements((source, *states[steps[-1]]))
    _check_met(paths, [x for state in states.values() for x in state])
    check_no_way_round(
        paths.order,
        [states[t] for t in steps],
        "explain() is about a state through which all goes from one step to the next; the ledger() needs none",
        paths.losses,
    )
    size = sum(x.size for x in states[steps[-1]])
    work = len(steps) * size * size * (size + source.size)
    if work > MOST_WORK:
        raise ValueError(
            f"explain() writes out every factor, {size} by {size} and {size} by {source.size} at each of {len(steps)} "
            f"steps, which takes about {work:.0e} multiplications. Use a smaller model, fewer steps or a batch of one; "
            "the ledger() says what each step contributes at any size"
        )
    by_state = np.hstack(partial_jacobian((loss,), states[steps[-1]]))
    uses = uses_of(paths.losses, source, paths.order)
    logs = dict(zip(uses.steps, log10_norms(uses)[0].tolist(), strict=True))
    terms: list[Term] = []
    total, cumulative = np.zeros(source.shape), 0.0
    between, scale = np.eye(by_state.shape[1])[None], np.zeros(1, np.int64)  # ds_tau/ds_i is between 2^-scale
    for k in range(len(steps) - 1, -1, -1):
        if k + 1 < len(steps):
            one_step = jacobian_of_step(states[steps[k]], states[steps[k + 1]], steps[k])
            between, scale = added([(between @ one_step, scale)])
        before = states[steps[k - 1]] if k else ()
        (direct,) = partial_jacobian(states[steps[k]], (source,), cut=before)
        by_loss, state, by_source = (
            float(spectral_norms(np.asarray(factor, np.float64)[None])[0]) for factor in (by_state, between[0], direct)
        )
        with np.errstate(over="ignore", invalid="ignore"):  # of what overflowed the powers of ten are right
            contribution = np.ldexp(by_state @ between[0] @ direct, -scale[0]).reshape(source.shape)
            total = total + contribution
            state_by_state = float(np.ldexp(state, -scale[0]))
        share = float(shares_of(contribution[None], gradient)[0])
        cumulative += share
        terms.append(
            Term(
                step=steps[k],
                lag=steps[-1] - steps[k],
                loss_by_state=by_loss,
                state_by_state=state_by_state,
                state_by_source=by_source,
                norm=float(norms_over(contribution[None], 1)[0]),
                share=share,
                cumulative=cumulative,
                log10=logs.get(steps[k], -math.inf),
                log10_state=math.log10(state) - int(scale[0]) * math.log10(2) if state else -math.inf,
                connected=steps[k] in uses.steps,
                contribution=contribution,
            )
        )
    log10 = None if has_a_norm(gradient) else log10_of_whole(paths)
    return Explanation(source.name or "theta", names, tuple(terms), total, gradient, log10)


def _check_met(paths: Paths, states: list[Tensor]) -> None:
    """Raises ValueError where a path from the source to the loss meets no state: it would be in no term."""
    walls, losses = {x.index for x in states}, {loss.index for loss in paths.losses}
    unmet: dict[int, Any] = {}  # by node: the use of the source from which it is reached
    for consumer, _, x in reversed(list(paths.edges())):
        use = consumer if x is paths.source else unmet.get(x.index)
        if use is not None and consumer.index not in walls:
            unmet[consumer.index] = use
            if consumer.index in losses:
                raise ValueError(
                    f"{describe(use)}, uses {describe(paths.source)}, and leads to the loss by way of no state: "
                    "explain() has no term for that, while ledger() counts it as a use at its step"
                )


def _called(x: Tensor, state: State) -> str:
    """Its name, and its scope where that tells it apart."""
    alone = [one.name for one in state].count(x.name) == 1
    return str(x.name) if alone else f"{x.place.scope}/{x.name}".lstrip("/")


def _states(paths: Paths) -> dict[int, State]:
    """By step: the tensors that cross to another step; at the last, those of the same names and scopes.

    Where the source is one of them, it is where the paths begin, and no state on them.
    """
    if all(node.place.step is None for node in paths.order.values()):
        raise ValueError("no operation is at a time step: put the loop into `for t, x in tg.steps(xs):`")
    crossing_edges = [(x, consumer, slot) for consumer, slot, x in paths.edges() if crosses(x, consumer)]
    edges, sums = [(x, consumer) for x, consumer, _ in crossing_edges], running_sums(paths.order)
    if not edges:
        raise ValueError(
            f"no path from {describe(paths.source)}, to the loss leads from one step to another, so there is no sum "
            "over steps to explain. (tg.diagnose(loss) tells whether the recurrence is broken.)"
        )
    for x, consumer, slot in crossing_edges:
        if (consumer.index, slot) in sums and any(other.name for other, _ in edges):
            raise ValueError(
                f"explain() is about a loss of one step, and {describe(x)}, adds up those of several: {_ONE}"
            )
        if x.name is None and x is not paths.source:
            raise ValueError(
                f"{describe(x)}, crosses to step {consumer.place.step} and is no named state: name all that leaves a "
                'step, where it is made, as in h = (...).named("h")'
            )
    if any(x.place.step > consumer.place.step for x, consumer in edges):
        raise ValueError("explain() is about states that lead forward in time, and some here lead back as well")
    crossing = {(x.name, x.place.scope) for x, _ in edges if x.name}
    found: dict[int, dict[tuple[str, str], Tensor]] = {}
    for node in paths.order.values():
        key = node.name, node.place.scope
        if key in crossing and node.place.step is not None and node is not paths.source:
            if key in found.setdefault(node.place.step, {}):
                raise ValueError(
                    f"two tensors at step {node.place.step} are called {node.name!r} in the same scope, so which is "
                    "the state? Make each layer in a scope of its own: with tg.scope(...)"
                )
            found[node.place.step][key] = node
    if not found:
        raise ValueError(
            f"no named state lies between {describe(paths.source)}, and the loss, so there is no sum over steps"
        )
    return {step: tuple(by_key[key] for key in sorted(by_key)) for step, by_key in sorted(found.items())}


_HEAD = ("i", "i from 1", "|dL/ds_tau|", "|ds_tau/ds_i|", "|d+s_i|", "bound", "norm", "share", "sum of shares")


def _rows(e: Explanation) -> Iterable[tuple[str, ...]]:
    """A row for each step at which the source is used."""
    for term in e.terms:
        if term.connected:
            none = -math.inf if term.log10 == -math.inf else None  # a factor that is 0 where the term is so too
            yield (
                str(term.step),
                str(term.step + 1),
                magnitude(term.loss_by_state, none),
                magnitude(term.state_by_state, term.log10_state),
                magnitude(term.state_by_source, none),
                magnitude(term.bound, term.log10_bound),
                magnitude(term.norm, term.log10),
                percent(term.share, term.log10 if is_beyond(term.norm) else None),
                percent(term.cumulative),
            )


def _state(e: Explanation) -> str:
    return e.states[0] if len(e.states) == 1 else f"({', '.join(e.states)})"


def _formula(e: Explanation) -> str:
    return f"dL/d{e.source} = sum over i of dL/ds_tau . ds_tau/ds_i . d+s_i/d{e.source}"


@dataclass(frozen=True)
class _Letters:
    """How a format writes the letters of the formula, and what is plain text in others."""

    i: str = "i"
    s_i: str = "s_i"
    direct: str = "d+s_i"
    tau: str = "tau"
    text: Callable[[str], str] = str


_PLAIN = _Letters()


def _legend(e: Explanation, letters: _Letters = _PLAIN) -> list[str]:
    """What the letters and the columns mean, and which steps have no row."""
    i, source = letters.i, letters.text(e.source)
    said = [
        f"{letters.s_i} is the state after step {i}, here {letters.text(_state(e))}; {letters.tau} = {e.terms[0].step} "
        "is the step of the loss L.",
        f"{letters.direct} is the direct part: by the use of {source} at step {i} alone, the state before held fixed.",
        "bound: the product of the spectral norms of the three; norm: that of the term itself, which is never larger.",
    ]
    if not all(term.connected for term in e.terms):
        said.append(f"A step without a row does not use {source}, so no path begins there.")
    return said


def _checked(e: Explanation) -> str:
    norms = norms_over(np.stack([e.total, e.gradient]), 1)
    if e.log10 is not None:
        return (
            f"No number holds the gradient, of norm {magnitude(float(norms[1]), e.log10)}, so there is no relative "
            "difference; the powers of ten above are exact."
            if math.isfinite(e.log10)
            else "The terms and the gradient of one backward sweep are exactly 0."
        )
    return (
        f"The terms sum to a gradient of norm {norms[0]:.6g}; one backward sweep gives {norms[1]:.6g}; "
        f"relative difference {e.difference:.1e}."
    )


def _text(e: Explanation) -> str:
    table = [" ".join(f"{cell:>13}" for cell in row) for row in (_HEAD, *_rows(e))]
    return "\n".join([_formula(e), *_legend(e), *table, _checked(e)])


def _markdown(e: Explanation) -> str:
    head = [f"| {' | '.join(title.replace('|', chr(92) + '|') for title in _HEAD)} |", "|" + "--:|" * len(_HEAD)]
    rows = [f"| {' | '.join(row)} |" for row in _rows(e)]
    return "\n".join([f"`{_formula(e)}`", "", *_legend(e), "", *head, *rows, "", _checked(e)])


def _latex(e: Explanation) -> str:
    source = _in_math(e.source)
    titles = (
        "$i$",
        "$i$ from 1",
        r"$\|\partial L/\partial s_\tau\|$",
        r"$\|\partial s_\tau/\partial s_i\|$",
        r"$\|\partial^{+} s_i/\partial " + source + r"\|$",
        "bound",
        "norm",
        "share",
        "sum of shares",
    )
    formula = (
        rf"\[ \frac{{\partial L}}{{\partial {source}}} = \sum_{{i}} \frac{{\partial L}}{{\partial s_\tau}}"
        rf"\frac{{\partial s_\tau}}{{\partial s_i}} \frac{{\partial^{{+}} s_i}}{{\partial {source}}} \]"
    )
    rows = [" & ".join(map(_cell, row)) + r" \\" for row in _rows(e)]
    begin = [r"\begin{tabular}{" + "r" * len(titles) + "}", " & ".join(titles) + r" \\", r"\hline"]
    return "\n".join([formula, *_legend(e, _LATEX), "", *begin, *rows, r"\end{tabular}", "", _escaped(_checked(e))])


def _in_math(name: str) -> str:
    if len(name) == 1 and name.isalpha():
        return name
    return (r"\mathrm{" if re.fullmatch(r"\w+", name) else r"\mbox{") + _escaped(name) + "}"


def _escaped(text: str) -> str:
    """Plain text in LaTeX."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(c, "\\" + c if c in "&%$#_{}" else c) for c in text)


def _cell(text: str) -> str:
    """The text of a cell in LaTeX: powers of ten in math, percents escaped."""
    return re.sub(r"10\^(-?\d+)", r"$10^{\1}$", text).replace("%", r"\%")


_LATEX = _Letters("$i$", "$s_i$", r"$\partial^{+} s_i$", r"$\tau$", _escaped)
_RENDERERS = {"text": _text, "markdown": _markdown, "latex": _latex}
