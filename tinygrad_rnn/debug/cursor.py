"""Moving through a timeline: where the moves of a debugger lead, from a position to a position."""

from __future__ import annotations

from typing import Literal

from .timeline import Event, Timeline

Within = Literal["scope", "step", "both"]


def over(timeline: Timeline, position: int) -> int:
    """After the next event that is not deeper in the model than the last one: what scopes inside do is stepped over."""
    if position >= len(timeline):
        return len(timeline)
    outer = timeline[position - 1].place.scope if position else ""
    end = position + 1
    while end < len(timeline) and _deeper(timeline[end - 1], outer) and timeline[end].kind == timeline[end - 1].kind:
        end += 1
    return end


def _deeper(event: Event, outer: str) -> bool:
    return event.place.scope.startswith(f"{outer}/" if outer else "") and event.place.scope != outer


def finish(timeline: Timeline, position: int, within: Within = "both") -> int:
    """After the last event in a row that belongs to the same scope, time step, or both, in the same direction.

    At such an end already it goes to the next one.
    """
    if position >= len(timeline):
        return len(timeline)
    here = timeline[max(position - 1, 0)]
    if position and not _together(here, timeline[position], within):
        here = timeline[position]
    end = position + 1
    while end < len(timeline) and _together(here, timeline[end], within):
        end += 1
    return end


def _together(first: Event, other: Event, within: Within) -> bool:
    outer = first.place.scope
    same_scope = other.place.scope == outer or other.place.scope.startswith(f"{outer}/" if outer else "")
    same_step = first.place.step == other.place.step
    same = {"scope": same_scope, "step": same_step, "both": same_scope and same_step}[within]
    return same and first.kind == other.kind
