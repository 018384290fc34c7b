"""Which way through time a state is handed on: forward, or backward, as half of a bidirectional network is."""

from __future__ import annotations

from typing import Any

from .automaton import crosses

Key = tuple[str | None, str]  # the name and the scope of a state
Edge = tuple[int, int]  # the index of the consumer, and the slot
FORWARD, BACKWARD = 1, -1


def key_of(node: Any) -> Key:
    return node.name, node.place.scope


def directions_of(order: dict[int, Any]) -> dict[int, set[Edge]]:
    """By direction, the edges by which states go from step to step: one direction, or FORWARD and BACKWARD.

    There are both where states are handed on both ways. Then all edges of a state are of the direction in which it is
    handed on, wherever they lead: a loss at step 0 that reads the last of the forward states is of theirs; and what is
    not handed on, such as the next input, is of neither. Else there is one, that of whatever leads to another step.
    """
    across = {
        (node.index, slot): (x, node)
        for node in order.values()
        for slot, x in enumerate(node.inputs)
        if x.index in order and crosses(x, node)
    }
    handed_on = _handed_on(order, {x.index for x, _ in across.values()})
    if {way for ways in handed_on.values() for way in ways} != {FORWARD, BACKWARD}:
        forward = any(_way(x, node) == FORWARD for x, node in across.values())
        return {FORWARD if forward else BACKWARD: set(across)} if across else {}
    found: dict[int, set[Edge]] = {FORWARD: set(), BACKWARD: set()}
    for edge, (x, node) in across.items():
        ways = handed_on.get(key_of(x), set())
        if ways:
            found[next(iter(ways)) if len(ways) == 1 else _way(x, node)].add(edge)
    return found


def led_to_by(order: dict[int, Any], edges: set[Edge], shut: set[Edge]) -> set[int]:
    """What some of these edges lead to, by paths over none that is shut."""
    led: set[int] = set()
    for index, node in order.items():
        for slot, x in enumerate(node.inputs):
            edge = index, slot
            if edge not in shut and (edge in edges or x.index in led):
                led.add(index)
                break
    return led


def others_than(direction: int, directions: dict[int, set[Edge]]) -> set[Edge]:
    """The edges of the other direction, where there is one."""
    return {edge for other, edges in directions.items() if other != direction for edge in edges}


def _way(producer: Any, consumer: Any) -> int:
    return FORWARD if producer.place.step < consumer.place.step else BACKWARD


def _handed_on(order: dict[int, Any], crossing: set[int]) -> dict[Key, set[int]]:
    """By state, the ways in which the next is made of the one before; without a name, what crosses is a state."""
    bit: dict[Key, int] = {}
    for index in crossing:
        bit.setdefault(key_of(order[index]), 1 << len(bit))
    becomes = dict.fromkeys(order, 0)  # the states, a bit each, that a node leads to within its step
    found: dict[Key, set[int]] = {}
    for index, node in reversed(order.items()):
        if index in crossing or (node.name is not None and node.primitive is not None):
            becomes[index] |= bit.get(key_of(node), 0)
        for x in node.inputs:
            if x.index not in order:
                continue
            if crosses(x, node):
                if becomes[index] & bit[key_of(x)]:
                    found.setdefault(key_of(x), set()).add(_way(x, node))
            elif x.place.step == node.place.step:
                becomes[x.index] |= becomes[index]
    return found
