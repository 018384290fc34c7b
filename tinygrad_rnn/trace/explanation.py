"""The formula of backpropagation through time, with numbers in it.

    dL/dtheta = sum over i of  dL/ds_tau . ds_tau/ds_i . d+s_i/dtheta

s_i is everything that leaves step i: h in an RNN, (h, c) in an LSTM. d+ is the *direct* part, in which the earlier
state is held fixed; the total derivative in its place would count earlier uses again at every later step.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..engine.tensor import Tensor
from .automaton import Paths
from .jacobians import partial_jacobian, state_jacobians
from .measure import magnitude, norms_over, percent, shares_of
from .oversights import last_steps, steps_read
from .scaled import log10_norms
from .uses import uses_of

Array = npt.NDArray[Any]
Format = Literal["text", "markdown", "latex"]
MOST_ELEMENTS = 50_000_000  # of one d+s_i/dtheta


@dataclass(frozen=True)
class Term:
    """One term of the sum. step: i, counted from 0. The three factors' spectral norms multiply to the bound.

    log10: of the norm, also where that itself underflows; -inf where the term is exactly 0.
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
    contribution: Array

    @property
    def bound(self) -> float:
        """The product of the norms of the factors, which the norm of the term cannot exceed."""
        return self.loss_by_state * self.state_by_state * self.state_by_source


@dataclass(frozen=True, repr=False)
class Explanation:
    """The terms, nearest first; their sum; and the gradient that one backward sweep gives."""

    source: str
    states: tuple[str, ...]
    terms: tuple[Term, ...]
    total: Array
    gradient: Array

    @property
    def difference(self) -> float:
        """The norm of (sum of the terms - gradient of the backward sweep), relative to the latter."""
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
    """Compute every factor of the formula for one loss and a source that is used at every step.

    Raises ValueError for several losses, for a source used outside the steps, and where no state crosses.
    """
    if len(paths.losses) != 1:
        raise ValueError("explain() is about one loss: ask about one step, tg.trace_gradient(losses[-1], to=...)")
    (loss,), source = paths.losses, paths.source
    states = _states(paths)
    steps = sorted(states)
    if last_steps(paths.order).get(loss.index) != steps[-1]:
        raise ValueError("explain() needs a loss that depends on the state after the last step")
    others = steps_read(paths.order, loss) - {steps[-1]}
    if others:
        raise ValueError(
            f"explain() is about a loss of one step, and this one reads step {max(others)} as well as step "
            f"{steps[-1]}: if it is a sum of losses, explain one of them, tg.trace_gradient(losses[-1], to=...)"
        )
    if sum(x.size for x in states[steps[-1]]) * source.size > MOST_ELEMENTS:
        raise ValueError("explain() writes out every factor, which is too much for this model: use a smaller one")
    (by_state,) = [np.hstack(partial_jacobian((loss,), states[steps[-1]]))]
    jacobians = state_jacobians([states[t] for t in steps])
    uses = uses_of(paths.losses, source, paths.order)
    logs = dict(zip(uses.steps, log10_norms(uses)[0].tolist(), strict=True))
    terms: list[Term] = []
    total, cumulative = np.zeros(source.shape), 0.0
    for k in range(len(steps) - 1, -1, -1):
        before = states[steps[k - 1]] if k else ()
        (direct,) = partial_jacobian(states[steps[k]], (source,), cut=before)
        between = jacobians.product(len(steps) - 1, k)
        contribution = (by_state @ between @ direct).reshape(source.shape)
        share = float(shares_of(contribution[None], gradient)[0])
        total, cumulative = total + contribution, cumulative + share
        by_loss, by_state_norm, by_source = (float(np.linalg.norm(factor, 2)) for factor in (by_state, between, direct))
        norm = float(norms_over(contribution[None], 1)[0])
        terms.append(
            Term(
                step=steps[k],
                lag=steps[-1] - steps[k],
                loss_by_state=by_loss,
                state_by_state=by_state_norm,
                state_by_source=by_source,
                norm=norm,
                share=share,
                cumulative=cumulative,
                log10=logs.get(steps[k], -math.inf),
                contribution=contribution,
            )
        )
    names = tuple(x.name or "_" for x in states[steps[-1]])
    return Explanation(source.name or "theta", names, tuple(terms), total, gradient)


def _states(paths: Paths) -> dict[int, tuple[Tensor, ...]]:
    """By step: the tensors that cross to another step; at the last, those of the same names."""
    crossing = {x.name for consumer, _, x in paths.edges() if (m := paths.marks(consumer, x)[1]) and m.crosses}
    crossing.discard(None)
    if all(node.place.step is None for node in paths.order.values()):
        raise ValueError("no operation is at a time step: put the loop into `for t, x in tg.steps(xs):`")
    if not crossing:
        raise ValueError('no named state crosses from one step to the next: name it where it is made, .named("h")')
    found: dict[int, dict[str, Tensor]] = {}
    for node in paths.order.values():
        if node.name in crossing and node.place.step is not None:
            if node.name in found.setdefault(node.place.step, {}):
                raise ValueError(f"two tensors at step {node.place.step} are called {node.name!r}: explain one layer")
            found[node.place.step][node.name] = node
    return {step: tuple(by_name[name] for name in sorted(by_name)) for step, by_name in sorted(found.items())}


_HEAD = ("i", "from 1", "|dL/ds|", "|ds/ds_i|", "|d+s_i|", "bound", "norm", "share", "sum of shares")


def _rows(e: Explanation) -> Iterable[tuple[str, ...]]:
    for term in e.terms:
        factors = map(magnitude, (term.loss_by_state, term.state_by_state, term.state_by_source, term.bound))
        shares = (percent(term.share), percent(term.cumulative))
        yield (str(term.step), str(term.step + 1), *factors, magnitude(term.norm, term.log10), *shares)


def _checked(e: Explanation) -> str:
    norms = norms_over(np.stack([e.total, e.gradient]), 1)
    return (
        f"The terms sum to a gradient of norm {norms[0]:.6g}; one backward sweep gives {norms[1]:.6g}; "
        f"relative difference {e.difference:.1e}."
    )


def _text(e: Explanation) -> str:
    state = e.states[0] if len(e.states) == 1 else f"({', '.join(e.states)})"
    lines = [
        f"dL/d{e.source} = sum over i of dL/ds_tau . ds_tau/ds_i . d+s_i/d{e.source}, with s = {state}",
        "d+ is the direct part: the use at step i alone, the state before it held fixed. Norms are spectral norms.",
        " ".join(f"{title:>13}" for title in _HEAD),
        *(" ".join(f"{cell:>13}" for cell in row) for row in _rows(e)),
        _checked(e),
    ]
    return "\n".join(lines)


def _markdown(e: Explanation) -> str:
    head = [f"| {' | '.join(title.replace('|', chr(92) + '|') for title in _HEAD)} |", "|" + "--:|" * len(_HEAD)]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in _rows(e)), "", _checked(e)])


def _latex(e: Explanation) -> str:
    source = r"\mathrm{" + e.source.replace("_", r"\_") + "}" if len(e.source) > 1 else e.source
    titles = (
        "$i$",
        "from 1",
        r"$\|\partial L/\partial s_\tau\|$",
        r"$\|\partial s_\tau/\partial s_i\|$",
        r"$\|\partial^{+} s_i/\partial \theta\|$",
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
    begin = [formula, r"\begin{tabular}{" + "r" * len(titles) + "}", " & ".join(titles) + r" \\", r"\hline"]
    return "\n".join([*begin, *rows, r"\end{tabular}", "", _checked(e).replace("%", r"\%")])


def _cell(text: str) -> str:
    """The text of a cell in LaTeX: powers of ten in math, percents escaped."""
    return re.sub(r"10\^(-?\d+)", r"$10^{\1}$", text).replace("%", r"\%")


_RENDERERS = {"text": _text, "markdown": _markdown, "latex": _latex}
