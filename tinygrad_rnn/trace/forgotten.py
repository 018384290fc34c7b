"""States that are not handed on: made anew at every step, and read at none, while the gradient crosses in another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .automaton import crosses
from .directions import Key, directions_of, key_of


def states_not_handed_on(order: dict[int, Any]) -> list[str]:
    """A sentence for each state that is made anew at every step and read at none, where each step reads the same
    initial tensor, or zeros, in its place, while the gradient crosses time in another state, be it of another layer.

    Looked for is what is made at every step with one and the same tensor from outside any step, of the shape of a
    landmark in which nothing crosses: the old part of a gated sum, as in c = (f * c0 + i * g).named("c"); what the
    weights are multiplied by, as in W @ h0, beside h = (o * c.tanh()).named("h"); and what the recurrent weights of a
    cell of `nn` are multiplied by. A gate or an output is neither. Zeros, from outside or of each step, are looked for
    before any weight: a context or an input is not zeros at every step, for then it would do nothing.

    Where only the last step of such a state leads to the loss, one step is enough for what is known to be a state.
    """
    first = min((node.born for node in order.values() if node.place.step is not None), default=0)
    crossing = {key_of(x) for node in order.values() for x in node.inputs if x.index in order and crosses(x, node)}
    if not crossing:
        return []
    fed, made = _fed_by_states(order, crossing), _steps_of(order)
    cells = _of_cells(order, first, crossing, fed)
    behind = _behind_weights(order, first, crossing)
    found = cells | _in_a_gated_sum(order, first, crossing, {scope for _, scope in cells}) | behind
    found |= _where_zeros_meet_weights(order, crossing | set(found), fed)
    late = {key for key in found if len(made[key]) == 1 and key not in behind}
    return [_not_handed_on(key, initial, list(made[key]) if key in late else []) for key, initial in found.items()]


def _not_handed_on(key: Key, initial: Any, late: list[int]) -> str:
    """late: the one step at which it leads to the loss, where what it reads at others is not known."""
    name, scope = key
    state = f"The state «{f'{scope}/{name}'.lstrip('/')}»"
    if initial.place.step is None:
        reads = f"the same initial tensor, shape {initial.shape}"
    else:
        reads = f"zeros made anew, shape {initial.shape}"
    fix = "Hand the new one on, as in h, c = cell(x, (h, c))."
    if late:
        return (
            f"{state} leads to the loss at step {late[0]} alone, which reads {reads}, in place of the last one. {fix}"
        )
    return (
        f"{state} is made at every step, but no step reads that of the step before: each reads {reads}, in its place. "
        f"{fix}"
    )


def _is_initial(x: Any, first: int) -> bool:
    """Whether it is from outside any step, and not made of what the steps gave."""
    return x.place.step is None and (x.primitive is None or x.born < first)


def _fed_by_states(order: dict[int, Any], crossing: set[Key]) -> set[int]:
    """What is made, within its step, of a state that was handed on to it: it could have been handed on as well."""
    entered = {node.place.step for node in order.values() for x in node.inputs if x.index in order and crosses(x, node)}
    fed: set[int] = set()
    for index, node in order.items():
        step = node.place.step
        handed_on = node.primitive is not None and step in entered and key_of(node) in crossing
        if handed_on or any(x.index in fed and x.place.step == step for x in node.inputs):
            fed.add(index)
    return fed


def _begun_late(
    order: dict[int, Any], made: dict[Key, dict[int, int]], found: Iterable[Key], fed: set[int]
) -> set[Key]:
    """Those of which one step leads to the loss, where all such are fed by states: else they are perhaps those of the
    other direction, at its first step. So is, in a bidirectional network, one at an end of time."""
    once = {key: next(iter(made[key].items())) for key in found if len(made[key]) == 1}
    if not fed.issuperset(index for _, index in once.values()):
        return set()
    if len(directions_of(order)) == 1:
        return set(once)
    steps = {step for there in made.values() for step in there}
    return {key for key, (step, _) in once.items() if min(steps) < step < max(steps)}


def _in_a_gated_sum(order: dict[int, Any], first: int, crossing: set[Key], forgotten: set[str]) -> dict[Key, Any]:
    """By landmark: the one tensor that is the old part of it at every step, where it is made at two or more.

    forgotten: scopes of cells that are known to begin anew, where one step is enough, and zeros made at each will do.
    """
    old: dict[Key, list[Any]] = {}
    for node in order.values():
        if node.name is not None and node.place.step is not None and node.primitive and key_of(node) not in crossing:
            old.setdefault(key_of(node), []).append(_old_part(node, first))
    return {
        key: parts[0]
        for key, parts in old.items()
        if (len(parts) > 1 and parts[0] is not None and all(part is parts[0] for part in parts))
        or (key[1] in forgotten and _is_one_placeholder(parts))
    }


def _is_one_placeholder(parts: list[Any]) -> bool:
    return all(part is not None and (part is parts[0] or _is_zeros_of(part, part.place.step)) for part in parts)


def _is_zeros_of(x: Any, step: int | None) -> bool:
    """Whether it is a constant of zeros that was made at this step, or outside any."""
    constant = x.primitive is None and not x.requires_grad and x.place.step in (None, step)
    return constant and x.size > 0 and not x.value.any()


def _old_part(node: Any, first: int) -> Any:
    """c0 of a landmark f * c0 + u, f the output of a sigmoid (or 1 minus that), u made at the step; else None."""
    if node.primitive.name != "add":
        return None
    for kept, new in (node.inputs, node.inputs[::-1]):
        if new.place.step is not None and kept.primitive is not None and kept.primitive.name == "multiply":
            for gate, old in (kept.inputs, kept.inputs[::-1]):
                initial = _is_initial(old, first) or _is_zeros_of(old, node.place.step)
                if _is_gate(gate) and old.shape == node.shape and initial:
                    return old
    return None


def _is_gate(x: Any) -> bool:
    """Whether it is the output of a sigmoid, or a number minus one."""
    operations = [one.primitive.name for one in (x, *x.inputs[1:2]) if one.primitive is not None]
    return operations[:1] == ["sigmoid"] or operations == ["subtract", "sigmoid"]


def _behind_weights(order: dict[int, Any], first: int, crossing: set[Key]) -> dict[Key, Any]:
    """By landmark, a product in whose scope one tensor of its shape meets weights at every step."""
    read: dict[tuple[int, str], tuple[Any, set[int]]] = {}  # by tensor and scope: it, and the steps that read it
    steps: dict[str, set[int]] = {}
    leads: set[int] = set()  # to a state that crosses, within its step
    for node in reversed(order.values()):
        if node.place.step is None or node.primitive is None:
            continue
        steps.setdefault(node.place.scope, set()).add(node.place.step)
        if node.index in leads or key_of(node) in crossing:
            leads.update(x.index for x in node.inputs if x.place.step == node.place.step)
        for x in _constants_before_weights(node, first):
            read.setdefault((x.index, node.place.scope), (x, set()))[1].add(node.place.step)
    always = [(x, scope) for (_, scope), (x, at) in read.items() if len(at) > 1 and at == steps[scope]]
    return {
        key_of(node): x
        for node in order.values()
        if node.name is not None and node.primitive is not None and node.primitive.name == "multiply"
        if node.place.step is not None and node.index not in leads and key_of(node) not in crossing
        for x, scope in always
        if x.shape == node.shape and scope == node.place.scope
    }


def _constants_before_weights(node: Any, first: int) -> list[Any]:
    """What an operation at a step reads of initial tensors, in the place of a state: beside x, or times a weight."""
    if node.primitive.name == "concatenate":
        return [x for x in node.inputs if _is_initial(x, first)]
    if node.primitive.name in ("linear", "matmul") and all(_is_initial(x, first) for x in node.inputs[:2]):
        return list(node.inputs[:2])
    return []


def _of_cells(order: dict[int, Any], first: int, crossing: set[Key], fed: set[int]) -> dict[Key, Any]:
    """By the h of a cell of `nn`: what its recurrent weights, known by their name, are multiplied by at every step."""
    read: dict[str, dict[int, Any]] = {}  # by scope and step; None where it is no initial one
    for node in order.values():
        if node.place.step is not None and node.primitive is not None and node.primitive.name == "linear":
            x, w = node.inputs[:2]
            whole = w.inputs[0] if w.name is None and w.inputs else w  # the textbook's GRU multiplies slices of it
            if (whole.name or "").startswith("weight_hh") and x.primitive is None:
                initial = _is_initial(x, first) or _is_zeros_of(x, node.place.step)
                read.setdefault(node.place.scope, {})[node.place.step] = x if initial else None
    made = _steps_of(order)
    found: dict[Key, Any] = {
        ("h", scope): next(iter(parts.values()))
        for scope, parts in read.items()
        if parts.keys() == made.get(("h", scope), {}).keys() and ("h", scope) not in crossing
        if _is_one_placeholder(list(parts.values()))
    }
    late = _begun_late(order, made, found, fed)
    return {key: x for key, x in found.items() if len(made[key]) > 1 or key in late}


def _steps_of(order: dict[int, Any]) -> dict[Key, dict[int, int]]:
    """By landmark and step: the index of the one that is made there."""
    made: dict[Key, dict[int, int]] = {}
    for index, node in order.items():
        if node.name is not None and node.primitive is not None and node.place.step is not None:
            made.setdefault(key_of(node), {})[node.place.step] = index
    return made


def _where_zeros_meet_weights(order: dict[int, Any], known: set[Key], fed: set[int]) -> dict[Key, Any]:
    """By landmark that is new, and made of weights times zeros of its shape at every step.

    known: those that cross, and those that were found. What leads to them within its step is a part of them, and zeros
    that do are perhaps an input; a gate or a candidate, which multiplies something, is a part of what it makes.
    """
    leads: set[int] = set()
    parts: set[int] = set()
    inputs: set[tuple[int, int]] = set()  # (index, step) of what known states read
    for node in reversed(order.values()):
        if node.place.step is not None and node.primitive is not None:
            if node.index in leads or key_of(node) in known:
                leads.update(x.index for x in node.inputs if x.place.step == node.place.step)
                inputs.update((x.index, node.place.step) for x in node.inputs)
            if node.primitive.name == "multiply":
                parts.update(x.index for x in node.inputs)
    made_of: dict[int, Any] = {}  # by node: the zeros that it is made of
    found: dict[Key, dict[int, Any]] = {}
    for index, node in order.items():
        if node.place.step is None or node.primitive is None or index in leads or key_of(node) in known:
            continue
        here = [made_of[x.index] for x in node.inputs if x.index in made_of and x.place.step == node.place.step]
        zeros = here[0] if here else _zeros_before_weights(node)
        if zeros is None:
            continue
        if node.name is not None and node.shape == zeros.shape and not _is_gate(node) and index not in parts:
            found.setdefault(key_of(node), {})[node.place.step] = zeros
        else:
            made_of[index] = zeros  # what is made of the state is a result of it, not a state
    made = _steps_of(order)
    found = {key: by_step for key, by_step in found.items() if by_step.keys() == made[key].keys()}
    late = _begun_late(order, made, found, fed)
    states: dict[Key, Any] = {}
    for key, by_step in found.items():
        alone = [x for step, x in by_step.items() if (x.index, step) not in inputs]
        if len(alone) > 1 or (alone and key in late and alone[0].place.step is None):
            states[key] = alone[0]
    return states


def _zeros_before_weights(node: Any) -> Any:
    """The zeros that an operation multiplies by weights that learn; None where it does not."""
    if node.primitive.name in ("linear", "matmul"):
        for x, w in (node.inputs[:2], node.inputs[1::-1]):
            if w.requires_grad and w.place.step is None and _is_zeros_of(x, node.place.step):
                return x
    return None
