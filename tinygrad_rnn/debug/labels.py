"""What the nodes of a timeline are called: h[3], W_hh, or multiply #41, the result of event 41."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import numpy as np

from ..engine.primitives import Array
from ..engine.tensor import Tensor
from .timeline import Timeline


class Labels:
    """The names of a tape, and the nodes that bear them. Constants that are operands count too."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.named: dict[str, list[Tensor]] = {}
        seen: set[int] = set()
        for node in timeline.order.values():
            for x in (*node.inputs, node):
                if x.name and x.index not in seen:
                    seen.add(x.index)
                    self.named.setdefault(x.name, []).append(x)
        for nodes in self.named.values():
            nodes.sort(key=lambda node: node.index)

    def label(self, node: Tensor) -> str:
        """Unambiguous where names are: with the step, and with the scope if several have both."""
        if node.name is None:
            made = self.timeline.made_at(node.index)
            if node.primitive is None:
                return "a number" if node.value.ndim == 0 else "a constant" if not node.tracked else "an unnamed leaf"
            return f"{node.primitive.name} #{made + 1}" if made >= 0 else node.primitive.name
        rivals = self.named.get(node.name, [])
        step = node.place.step
        text = node.name if step is None or (node.primitive is None and len(rivals) == 1) else f"{node.name}[{step}]"
        same = [one for one in rivals if one.place.step == step]
        return f"{node.place.scope}/{text}" if len(same) > 1 and node.place.scope else text

    def find(self, name: str, step: int | None = None) -> list[Tensor]:
        """The nodes of a name, which may be written behind its scope or a part of it; at one step, if given."""
        scope, _, plain = name.rpartition("/")
        found = self.named.get(name) or self.named.get(plain, [])
        if scope and name not in self.named:
            found = [node for node in found if f"/{node.place.scope}/".endswith(f"/{scope}/")]
        return [node for node in found if step is None or node.place.step == step]

    def steps(self, nodes: Iterable[Tensor]) -> str:
        """For a message: at which steps they are."""
        known = sorted({node.place.step for node in nodes if node.place.step is not None})
        if not known:
            return "it belongs to no step"
        if len(known) == 1:
            return f"its step is {known[0]}"
        all_between = known == list(range(known[0], known[-1] + 1))
        some = ", ".join(map(str, known[:8])) + (f", ... {known[-1]}" if len(known) > 8 else "")
        return "its steps are " + (f"{known[0]} to {known[-1]}" if all_between else some)

    def which(self, nodes: Iterable[Tensor]) -> str:
        """For a message: how to say which one of these is meant."""
        ways = list(dict.fromkeys(map(self.label, nodes)))
        if len(ways) == 1:
            return f"all are {ways[0]} here: give them names of their own"
        return f"say which: {', '.join(ways)}" if len(ways) < 4 else f"say which: {ways[0]} ... {ways[-1]}"

    def scopes(self) -> list[str]:
        return sorted({node.place.scope for node in self.timeline.order.values() if node.place.scope})

    def nearest(self, name: str, among: Iterable[str] | None = None) -> str:
        """What may have been meant, for a message; empty where nothing is near."""
        known = sorted(set(self.named) | set(self.scopes())) if among is None else sorted(among)
        near = difflib.get_close_matches(name, known, n=3)
        if near:
            return f"; did you mean {' or '.join(near)}?"
        return f"; there are {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}" if known else ""


def array_text(values: Array, shaped: bool = True, width: int = 70) -> str:
    """A small array as it is, a large one by its shape (unless that was said already) and range; in one line."""
    values = np.asarray(values)
    if values.dtype.kind == "b":
        text = np.array2string(values, separator=" ", threshold=8, edgeitems=2)
    else:
        text = np.array2string(values + 0, precision=4, separator=" ", threshold=8, edgeitems=2, max_line_width=10_000)
    text = " ".join(text.split())
    if values.size > 8:
        parts = [text] * (len(text) <= width) + [extent(values)]
        return (f"{values.shape} " if shaped else "") + ", ".join(parts)
    return text


def extent(values: Array) -> str:
    """from -1.2 to 3, norm 4.1; or how many are not finite."""
    numbers = np.asarray(values).astype(np.float64, copy=False)
    if values.size == 0:
        return "empty"
    nans, infinities = int(np.isnan(numbers).sum()), int(np.isinf(numbers).sum())
    bad = [f"{nans} NaN"] * bool(nans) + [f"{infinities} Inf"] * bool(infinities)
    there = numbers[np.isfinite(numbers)]
    if there.size == 0:
        return ", ".join(bad)
    least, most = there.min() + 0, there.max() + 0  # + 0: that of -0.0 is 0.0
    parts = [f"from {least:.4g} to {most:.4g}" if bad or least < most else f"all {most:.4g}"]
    return ", ".join([*parts, *(bad or [f"norm {norm(numbers):.4g}"])])


def norm(values: Array) -> float:
    """The Euclidean norm; neither underflows at 1e-170 nor overflows at 1e170."""
    sizes = np.abs(np.asarray(values)).astype(np.float64)
    largest = float(sizes.max(initial=0.0))
    if largest == 0 or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(np.square(sizes / largest).sum()))
