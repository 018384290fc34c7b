"""What a stop says: where it is, the rule, the numbers, what was added to what, who holds the gradient now."""

from __future__ import annotations

import linecache
import math

from ..engine.primitives import Array
from ..engine.tensor import Tensor
from ..trace import percent
from . import rules
from .labels import array_text, norm
from .lines import NOT_RECORDED
from .shares import MOST_EVENTS, Shares
from .stop import Stop
from .timeline import Event

SHOWN = 5  # of the frontier, of contributions


def account(stop: Stop) -> str:
    """All of it, in a few lines."""
    parts = [headline(stop), *_rule(stop), *values(stop)]
    if stop.kind == "forward":
        parts += note(stop)
    if stop.kind == "backward":
        parts += added(stop)
    if stop.kind in ("seed", "backward") and len(stop.timeline) <= MOST_EVENTS:
        parts += frontier(stop, short=True)
    return "\n".join(parts)


def headline(stop: Stop) -> str:
    """Event 41 of 217, forward: h[3] = tanh(add #40)   scope, step 3   model.py:12"""
    total = len(stop.timeline)
    if stop.event is None or stop.node is None:
        return f"event 0 of {total}: nothing has happened yet; only leaves and constants are there"
    where = f"event {stop.position} of {total}, {stop.kind}: "
    line = f"  {stop.line}" if stop.line else ""
    return f"{where}{happening(stop)}  ({stop.event.place}){line}"


def happening(stop: Stop) -> str:
    """One event in a few words."""
    assert stop.event is not None
    assert stop.node is not None
    label = stop.labels.label
    if stop.kind == "forward":
        made = f"{label(stop.node)} = " if stop.node.name else f"#{stop.position} = "
        return f"{made}{stop.operation}({_names(stop.operands, stop)})"
    if stop.kind == "seed":
        name = stop.node.name or "y"
        seed = array_text(stop.timeline.seeds[stop.node.index])
        return f"the backward pass begins at {label(stop.node)}, with d{name}/d{name} = {seed}"
    assert stop.target is not None
    return f"{by_rule(stop, stop.event)} -> {label(stop.target)}"


def by_rule(stop: Stop, event: Event) -> str:
    """What gradient comes through: f[7] (log); a node without a name is called as its operation is.

    Where an operation uses the same tensor more than once, as x * x does, the input is named too.
    """
    node, label = stop.timeline.order[event.node], stop.labels.label(stop.timeline.order[event.node])
    rule = f"{label} ({node.primitive.name})" if node.name and node.primitive is not None else label
    several = sum(x.index == event.producer for x in node.inputs) > 1
    return f"{rule}, input {event.slot}" if several else rule


def note(stop: Stop) -> list[str]:
    """Where a NaN or an Inf begins."""
    return [_row("NOTE", f"{stop.makes} is made here, out of what has none")] if stop.makes else []


def _names(operands: tuple[Tensor, ...], stop: Stop) -> str:
    shown = [stop.labels.label(x) for x in operands[:4]]
    return ", ".join(shown) + (f", ... ({len(operands)} in all)" if len(operands) > 4 else "")


def _row(title: str, text: str) -> str:
    return f"    {title:<10} {text}"


def _rule(stop: Stop) -> list[str]:
    if stop.rule is None:
        return []
    return [_row("rule", stop.rule), *([_row("e.g.", stop.numbers)] if stop.numbers else [])]


def rule(stop: Stop) -> str:
    """The forward rule, all backward rules, and this one with numbers."""
    if stop.node is None or stop.node.primitive is None:
        return "nothing has happened yet"
    formula = rules.formula_of(stop.node)
    slots = [k for k, x in enumerate(stop.operands) if x.tracked][: SHOWN + 3]
    rows = [_row("operation", str(stop.operation)), _row("forward", formula.forward)]
    rows += [_row("backward", formula.backward_at(k)) for k in slots]
    rows += [_row("derivative", f"dy/d{formula.symbol_at(k)} = {formula.derivative_at(k)}") for k in slots]
    numbers = rules.forward_numbers(stop.node)
    rows += [_row("e.g.", numbers)] if numbers else []
    rows += [_row("e.g.", stop.numbers)] if stop.kind == "backward" and stop.numbers else []
    return "\n".join([headline(stop), *rows])


def values(stop: Stop) -> list[str]:
    """The operands, the result, and what the backward rule is applied to."""
    if stop.node is None or stop.event is None:
        return []
    formula = rules.formula_of(stop.node) if stop.node.primitive is not None else None
    rows = []
    if formula is not None:
        slots = _telling_slots(stop)
        for slot in slots:
            x = stop.operands[slot]
            rows.append(_row(formula.symbol_at(slot), _valued(stop.labels.label(x), x.value)))
        if len(slots) < len(stop.operands):
            rows.append(_row("...", f"{len(stop.operands)} operands in all"))
    rows.append(_row("y" if formula else "value", _valued(stop.labels.label(stop.node), stop.node.value)))
    if stop.cotangent is not None and stop.event.slot is not None and formula is not None:
        rows.append(_row("dy", array_text(stop.cotangent)))
        symbol = formula.symbol_at(stop.event.slot)
        derivative = stop.derivative
        text = formula.derivative_at(stop.event.slot)
        numbers = "" if derivative is None or text in ("1", "-1") else f"{array_text(derivative)}  "
        rows.append(_row(f"dy/d{symbol}", f"{numbers}= {text}"))
    return rows


def _telling_slots(stop: Stop) -> range:
    """The operands to be shown: of many the one that gradient goes to, or the first."""
    count, slot = len(stop.operands), stop.event.slot if stop.event is not None else None
    if count <= SHOWN + 3:
        return range(count)
    return range(SHOWN) if slot is None else range(slot, slot + 1)


def _valued(label: str, value: Array) -> str:
    return (
        f"{label}, shape {value.shape}: {array_text(value, shaped=False)}"
        if value.ndim
        else f"{label}: {array_text(value)}"
    )


def added(stop: Stop) -> list[str]:
    """What was added to what, and its share."""
    assert stop.event is not None
    assert stop.target is not None
    assert stop.contribution is not None
    assert stop.total is not None
    into = stop.timeline.edges_into(stop.target.index)
    count = f"contribution {into.index(stop.event.position) + 1} of {len(into)}"
    rows = [_row("added", f"{array_text(stop.contribution)}, {count} to the gradient of {stop.label}")]
    if stop.before is not None:
        rows.append(_row("before", array_text(stop.before)))
        rows.append(_row("now", array_text(stop.total)))
    rows += note(stop)
    if len(stop.timeline) <= MOST_EVENTS:
        rows.append(_row("share", share_text(stop)))
    return rows


def share_text(stop: Stop) -> str:
    """The share over the edge that was just passed."""
    share, shares = stop.share, stop.shares
    if share is not None and shares.source is not None:
        return f"{percent(share)} of the gradient of {stop.labels.label(shares.source)} flows over this edge"
    target = stop.target
    if target is not None and target.primitive is None and stop.contribution is not None:
        whole = stop.timeline.cotangents()[target.index]
        size = norm(whole)
        if size and math.isfinite(size):
            part = float((stop.contribution / size * (whole / size)).sum())
            return f"{percent(part)} of the gradient of {stop.labels.label(target)}"
    if shares.why_not:
        return f"none: {shares.why_not}"
    source = stop.labels.label(shares.source) if shares.source is not None else "any leaf"
    return f"none of the gradient of {source}: no path to it leads over this edge"


def frontier(stop: Stop, short: bool = False) -> list[str]:
    """Who holds the gradient at this moment."""
    shares: Shares = stop.shares
    held = sorted(shares.frontier(stop.position), key=lambda one: -abs(one[1]))
    if not held:
        if stop.kind == "forward" or stop.event is None:
            none = "the backward pass has not begun" if stop.timeline.seeds else "there is no backward pass here"
            return [] if short else [f"nobody holds a gradient yet: {none}"]
        return [_row("frontier", f"not known: {shares.why_not}")]
    names = {index: stop.labels.label(stop.timeline.order[index]) for index, _ in held}
    total = math.fsum(share for _, share in held)
    assert shares.source is not None
    what = f"of the gradient of {stop.labels.label(shares.source)}"
    some = held[:SHOWN] if short else held
    parts = [f"{names[index]} {percent(share)}" for index, share in some]
    more = [f"{len(held) - SHOWN} more"] if len(held) > len(some) else []
    if short:
        return [_row("frontier", f"{', '.join(parts + more)}; together {total:.2%} {what}")]
    nodes = "1 node holds" if len(held) == 1 else f"{len(held)} nodes hold"
    rows = [f"{nodes} {total:.2%} {what}; what is still to come flows out of there:"]
    for index, share in held:
        received = stop.timeline.total(index, stop.position)
        size = "" if received is None else f"norm {norm(received):.4g}"
        rows.append(_row(names[index], f"{percent(share):>9}  {size}"))
    return rows


def where(stop: Stop) -> str:
    """The place in the program and in the model, from the outside inwards."""
    rows = [headline(stop)]
    if stop.event is None:
        return rows[0]
    if stop.line is not None:
        rows.append(_row("line", f'{stop.line}, in {stop.line.function}: "{stop.line.text}"'))
    else:
        rows.append(_row("line", NOT_RECORDED))
    rows.append(_row("step", "outside any time step" if stop.step is None else str(stop.step)))
    rows.append(_row("scope", stop.scope.replace("/", " / ") or "no scope"))
    rows.append(_row("node", f"{stop.labels.label(stop.node)}" if stop.node is not None else "-"))
    rows += _rule(stop)
    rows += values(stop)
    if stop.kind == "forward":
        rows += note(stop)
    if stop.kind == "backward":
        rows += added(stop)
    return "\n".join(rows)


def source_text(stop: Stop, around: int = 5) -> str:
    """The lines of the program around the one that made the node."""
    if stop.line is None:
        return f"its line is {NOT_RECORDED}" if stop.event is not None else "nothing has happened yet"
    lines = linecache.getlines(stop.line.file)
    if not lines:
        return f"{stop.line}: the file cannot be read"
    first, last = max(1, stop.line.number - around), min(len(lines), stop.line.number + around)
    marks = {True: "->", False: "  "}
    return "\n".join(f"{k:>4} {marks[k == stop.line.number]} {lines[k - 1].rstrip()}" for k in range(first, last + 1))


def why(stop: Stop, node: Tensor, heaviest: int = 3) -> str:
    """Which edges feed the gradient of a node, which have done so by now, and by which paths it is reached."""
    line, label = stop.timeline, stop.labels.label
    edges = line.edges_into(node.index)
    if not edges:
        if node.index in line.seeds:
            return f"{label(node)} is what is differentiated: its cotangent is given"
        return f"no path leads from {label(node)} to the loss (or it is a constant), so it gets no gradient"
    whole = line.cotangents()[node.index]
    size = norm(whole)
    several = "s" * (len(edges) > 1)
    rows = [f"the gradient of {label(node)} is the sum of {len(edges)} contribution{several}, norm {size:.4g} in all:"]
    parts = []
    for k in edges:
        part = line.contribution(k)
        share = float((part / size * (whole / size)).sum()) if size and math.isfinite(size) else math.nan
        parts.append((share, norm(part), k))
    order = parts if len(parts) <= 8 else sorted(parts, key=lambda one: -abs(one[1]))[:8]
    for share, length, k in order:
        come = "" if k < stop.position else "  (still to come)"
        told = "      -" if math.isnan(share) else f"{percent(share):>7}"
        rows.append(f"    {told}  norm {length:<10.4g} through {by_rule(stop, line[k])} ({line[k].place}){come}")
    if len(parts) > len(order):
        rows.append(f"    and {len(parts) - len(order)} smaller ones")
    return "\n".join(rows)
