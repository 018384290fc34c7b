"""The uses of a tensor one by one: an edge is a consumer and a slot, so `x * x` uses x twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.sweep import AtEdge, sweep
from .automaton import Paths
from .measure import has_a_norm, magnitude, norms_over, percent, shares_of
from .printed import Listed
from .scaled import Scaled, log10_of, sweep_scaled, unscaled

Array = npt.NDArray[Any]


@dataclass(frozen=True, repr=False)
class Use:
    """One edge from the source, and what it contributes to the gradient.

    consumer: the index of the operation's result. slot: which of its inputs. operation, scope, step, name: of the
    consumer. gradient: of the source's shape. share: signed; nan where the whole gradient has no shares. log10: of
    the norm, where that is beyond the range of numbers: -inf where it is exactly 0.
    """

    consumer: int
    slot: int
    operation: str
    scope: str
    step: int | None
    name: str | None
    gradient: Array = field(repr=False)
    norm: float
    share: float
    log10: float | None = None

    def __str__(self) -> str:
        where = "outside any step" if self.step is None else f"step {self.step}"
        where = f"{where}, {self.scope}" if self.scope else where
        size = magnitude(self.norm, self.log10, self.gradient.dtype)
        return f"{self.operation}, slot {self.slot} ({where}): share {percent(self.share, self.log10)}, norm {size}"

    __repr__ = __str__


def uses_one_by_one(paths: Paths, whole: Array) -> list[Use]:
    """In the order in which they were made; their gradients sum to the whole."""
    found: list[tuple[Any, int, Array]] = []

    def note(consumer: Any, slot: int, part: Array) -> Array | None:
        if consumer.inputs[slot] is not paths.source:
            return part
        found.append((consumer, slot, np.array(part)))
        return None

    users = [c.index for c, _, x in paths.edges() if x is paths.source]
    hooks: dict[int, AtEdge] = dict.fromkeys(users, note)
    sweep(paths.order, {index: seed[0] for index, seed in paths.seeds(1).items()}, keep=(), at_edge=hooks)
    found.sort(key=lambda use: (use[0].index, use[1]))
    parts = np.stack([part for _, _, part in found]) if found else np.empty((0, *whole.shape))
    norms = norms_over(parts, 1).tolist()
    logs = _log10_by_use(paths) if not all(map(has_a_norm, parts)) else {}
    measured = zip(found, norms, shares_of(parts, whole).tolist(), strict=True)
    return Listed(
        Use(
            consumer=c.index,
            slot=slot,
            operation=c.primitive.name,
            scope=c.place.scope,
            step=c.place.step,
            name=c.name,
            gradient=part,
            norm=norm,
            share=share,
            log10=None if has_a_norm(part) else logs[c.index, slot],
        )
        for (c, slot, part), norm, share in measured
    )


def _log10_by_use(paths: Paths) -> dict[tuple[int, int], float]:
    """(consumer, slot) -> log10 of the norm of what this use contributes."""
    found: dict[tuple[int, int], float] = {}

    def note(consumer: Any, slot: int, part: Scaled) -> Scaled | None:
        if consumer.inputs[slot] is not paths.source:
            return part
        found[consumer.index, slot] = float(log10_of([part])[0])
        return None

    sweep_scaled(paths.order, unscaled(paths.seeds(1)), (), dict.fromkeys(paths.order, note))
    return found
