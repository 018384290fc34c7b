"""The backward sweep: from the cotangents of some nodes to those of their ancestors, by one rule for each edge.

It knows nodes by their attributes only. Everything that asks about gradients drives it: `grad`, `jacobian`, the
traces, the debugger. A question is a seed with leading axes, plus what an edge does to what passes through it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .annotate import HERE, SweepPlace
from .primitives import EverySlot

value_of = operator.attrgetter("value")
Cotangent = Any  # an array, or a Tensor where the sweep itself is recorded
# What an edge (consumer, slot) does to the contribution that passes through it; None lets nothing pass.
AtEdge = Callable[[Any, int, Any], Any]


def describe(node: Any) -> str:
    """A node as messages name it: «h», the result of multiply (lstm, step 3), shape (4,)."""
    called = f"«{node.name}»" if node.name else "an unnamed tensor"
    made = f", the result of {node.primitive.name} ({node.place})" if node.primitive is not None else ""
    return f"{called}{made}, shape {node.value.shape}"


def tape(outputs: Iterable[Any], targets: Iterable[Any] | None = None) -> dict[int, Any]:
    """The nodes on the paths from `targets` to `outputs`, ends included, by index in the order they were made.

    targets: nodes; None stands for every leaf that requires a gradient.
    Raises RuntimeError if the data of an input was replaced after it was used.
    """
    targets = None if targets is None else list(targets)
    wanted = None if targets is None else {t.index for t in targets}
    oldest = -1 if targets is None else min((t.born for t in targets), default=0)  # nothing older leads to one
    all_lead = True  # whether everything found leads to a target, as it does where every leaf is one
    nodes = list({y.index: y for y in outputs if y.tracked and y.born >= oldest}.values())
    seen = {y.index for y in nodes}
    for node in nodes:  # the list grows meanwhile, by the inputs that are new
        index = node.index
        inputs = node.inputs
        if not inputs and wanted is not None and index not in wanted:
            all_lead = False
        for x in inputs:
            key = x.index
            if key > index:
                raise RuntimeError(
                    f"the data of {describe(x)}, was replaced (or requires_grad turned on) after {describe(node)}, had "
                    "been computed from it, so the gradient there is not known any more. Run the forward pass again "
                    "before going backward, or replace the data (an optimiser's step, say) after the backward pass. "
                    "A state handed on from one sequence to the next leads back to all before: hand on h.detach()."
                )
            if key not in seen and x.tracked:
                if x.born >= oldest:
                    seen.add(key)
                    nodes.append(x)
                else:
                    all_lead = False
    seen.clear()  # before the next dict is made, since a tape may be long
    nodes.sort(key=operator.attrgetter("index"))
    if wanted is None or all_lead:
        return {node.index: node for node in nodes}
    order: dict[int, Any] = {}
    for node in nodes:
        index = node.index
        if index in wanted:
            order[index] = node
            continue
        for x in node.inputs:
            if x.index in order:
                order[index] = node
                break
    return order


def sweep(
    order: dict[int, Any],
    seeds: Mapping[int, Cotangent],
    keep: Iterable[int],
    at_edge: Mapping[int, AtEdge] | None = None,
    create_graph: bool = False,
) -> dict[int, Cotangent]:
    """The cotangents of the nodes whose indices are in `keep`; a node that nothing reached is not in the answer.

    order: a `tape`: contributions go to the nodes in it only.
    seeds: the cotangent of each output, by index, shaped (*leading axes, *shape of the output).
    at_edge: by the index of a consumer, what is done at each of its edges: called with (consumer, slot, contribution),
        later consumers first; what it returns goes on to the producer, and where it returns None nothing does. Its
        leading axes may have other lengths, the same over all edges to a node.
    create_graph: the cotangents are Tensors, and the sweep itself is recorded, at the scope ``backward/...``.
    Every array that is returned is writable and shares memory with nothing.
    """
    keep = set(keep)
    cotangents = dict(seeds)
    owned: set[int] = set()  # the totals that this sweep allocated itself: those are added to in place
    fronts = [seed.shape[: seed.ndim - order[index].value.ndim] for index, seed in seeds.items() if index in order]
    front = fronts[0] if fronts else ()
    here = HERE.get()
    try:
        for node in reversed(order.values()):
            index = node.index
            g = cotangents.get(index) if index in keep else cotangents.pop(index, None)
            primitive = node.primitive
            if g is None or primitive is None:
                continue
            if front:  # a hook may have changed how long they are
                front = g.shape[: len(front)]
            inputs, params = node.inputs, node.params
            hook = None if at_edge is None else at_edge.get(index)
            if primitive.add_into is not None and hook is None and not create_graph:
                if inputs[0].index in order:
                    _add_sparse(cotangents, owned, inputs[0], g, front, node)
                continue
            # What a rule takes. Written out for one and two inputs: before Python 3.12 a comprehension is a function,
            # made and called.
            arguments: tuple[Any, ...]
            if create_graph:
                arguments = (g, node, *inputs)
                HERE.set(SweepPlace(f"backward/{node.place.scope}".rstrip("/"), node.place.step, True))
            elif len(inputs) == 2:
                arguments = (g, node.value, inputs[0].value, inputs[1].value)
            elif len(inputs) == 1:
                arguments = (g, node.value, inputs[0].value)
            else:
                arguments = (g, node.value, *map(value_of, inputs))
            rules: Any = primitive.rules
            part_of = rules.rule(*arguments, **params) if type(rules) is EverySlot else None
            slot = -1  # counted by hand, since making an `enumerate` for each operation takes a sixtieth of all time
            for x in inputs:
                slot += 1
                key = x.index
                if key not in order:
                    continue
                if part_of is not None:
                    part = part_of(slot)
                else:
                    rule = rules[slot]
                    if rule is None:
                        continue
                    part = rule(*arguments, **params) if params else rule(*arguments)
                value = x.value
                shape = front + value.shape if front else value.shape
                if part.shape != shape or part.dtype is not value.dtype:
                    part = _unbroadcast(part, shape, len(front), x, node, slot)
                if hook is not None:
                    part = hook(node, slot, part)
                    if part is None:
                        continue
                if key not in cotangents:
                    cotangents[key] = part
                elif key in owned:
                    cotangents[key] += part
                else:
                    cotangents[key] = cotangents[key] + part
                    if part.ndim:  # the sum of 0-d arrays is a NumPy scalar: not in place
                        owned.add(key)
    finally:
        HERE.set(here)
    reached = keep & cotangents.keys()
    if create_graph:
        return {index: cotangents[index] for index in reached}
    return {index: cotangents[index] if index in owned else np.array(cotangents[index]) for index in reached}


def _add_sparse(
    cotangents: dict[int, Cotangent], owned: set[int], x: Any, g: Cotangent, front: tuple[int, ...], node: Any
) -> None:
    """The contribution of a slice or gather, added into the whole without spreading it over zeros first."""
    key = x.index
    total = cotangents.get(key)
    if key not in owned:
        total = np.zeros(front + x.value.shape, x.value.dtype) if total is None else np.array(total)
        cotangents[key] = total
        owned.add(key)
    node.primitive.add_into(total, g, len(front), **node.params)


def _unbroadcast(part: Cotangent, shape: tuple[int, ...], lead: int, x: Any, node: Any, slot: int) -> Cotangent:
    """The one place where broadcasting is undone: what was spread over axes is summed over them."""
    if not lead and part.shape[1:] == shape and part.dtype is x.value.dtype:  # a bias beside a batch, the usual case
        return part.sum(axis=0) if len(part) != 1 else part[0]
    if [n for n in part.shape if n != 1] == [n for n in shape if n != 1]:  # only axes of length 1 are to go, as with
        part = part.reshape(shape)  # a bias and a batch of one: nothing to add up
    added = part.ndim - len(shape)
    if added > 0:
        part = part.sum(axis=tuple(range(lead, lead + added)))
    stretched = tuple(axis for axis, n in enumerate(shape) if n == 1) if added >= 0 and part.shape != shape else ()
    if stretched:
        part = part.sum(axis=stretched, keepdims=True)
    if part.shape != shape:
        raise RuntimeError(
            f"the rule of {node.primitive.name} for slot {slot} gave a contribution of shape {part.shape} to "
            f"{describe(x)}; it must broadcast from {shape}. Mend the rule in engine/primitives.py."
        )
    if part.dtype.kind == "c" and x.value.dtype.kind == "f":  # the rules are of real functions: |t i| would get -1
        raise TypeError(
            f"{describe(node)}, is complex, and no gradient is known from there to {describe(x)}: compute real and "
            "imaginary parts as two real tensors."
        )
    return part if part.dtype == x.value.dtype else part.astype(x.value.dtype)
