"""Lines as Bezier curves, in points, y upwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
RADIUS = 9.0  # of the corners of right-angled lines
ARROW = 8.0  # how long an arrow is at the end of a line
PORT = 15.0  # between two arrows that end at the same side


@dataclass(frozen=True, slots=True)
class Curve:
    """points: one more than a multiple of 3. tip: of the arrow. label: where a number beside the arrow fits."""

    points: tuple[Point, ...]
    tip: Point
    label: Point


def right_angled(corners: Sequence[Point]) -> Curve:
    """An arrow along horizontal and vertical lines, its corners rounded."""
    path = [corners[0]]
    for p in corners[1:]:
        if _distance(p, path[-1]) > 0.01:
            path.append(p)
    tip, before = path[-1], path[-2] if len(path) > 1 else path[-1]
    path[-1] = _towards(tip, before, ARROW)
    horizontal = abs(tip[1] - before[1]) < abs(tip[0] - before[0])
    away = ARROW + 4 if before[0] > tip[0] else -ARROW - 4
    label = (tip[0] + away, tip[1] + 10) if horizontal else (tip[0] + 6, tip[1] - ARROW)
    return Curve(tuple(rounded(path)), tip, label)


def rounded(path: Sequence[Point]) -> list[Point]:
    """A line along horizontal and vertical lines, its corners rounded."""
    curve = [path[0]]
    for k in range(1, len(path)):
        if k + 1 == len(path):
            curve += _line(curve[-1], path[k])
            break
        corner = path[k]
        radius = min(RADIUS, _distance(path[k - 1], corner) / 2, _distance(corner, path[k + 1]) / 2)
        start, end = _towards(corner, path[k - 1], radius), _towards(corner, path[k + 1], radius)
        curve += [*_line(curve[-1], start), _towards(start, corner, radius / 2), _towards(end, corner, radius / 2), end]
    return curve


def upwards(
    start: Point, leaves: float, bends: Sequence[tuple[float, float, float]], enters: float, tip: Point
) -> Curve:
    """An arrow from row to row. It turns only between rows, above `leaves` and below `enters`, where no node is; the
    rows on its way it passes at (x, lowest y, highest y)."""
    end = tip[0], tip[1] - ARROW
    curve = [start, *_line(start, (start[0], leaves))] if leaves - start[1] > 1 else [start]
    for x, low, high in bends:
        curve += _rise(curve[-1], (x, low))
        if high - low > 1:
            curve += _line((x, low), (x, high))
    if end[1] - enters > 1:
        curve += [*_rise(curve[-1], (end[0], enters)), *_line((end[0], enters), end)]
    else:
        curve += _rise(curve[-1], end)
    return Curve(tuple(curve), tip, (tip[0] + 6, tip[1] - ARROW))


def ports(center: float, width: float, count: int) -> list[float]:
    """Where `count` arrows end on a side of this width."""
    step = min(PORT, width * 0.7 / max(1, count - 1))
    return [center + (k - (count - 1) / 2) * step for k in range(count)]


def _line(a: Point, b: Point) -> list[Point]:
    return [_mix(a, b, 1 / 3), _mix(a, b, 2 / 3), b]


def _rise(a: Point, b: Point) -> list[Point]:
    reach = (b[1] - a[1]) * 0.45
    return [(a[0], a[1] + reach), (b[0], b[1] - reach), b]


def _mix(a: Point, b: Point, share: float) -> Point:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def _distance(a: Point, b: Point) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])  # between corners all lines are horizontal or vertical


def _towards(a: Point, b: Point, by: float) -> Point:
    length = _distance(a, b)
    return _mix(a, b, min(1.0, by / length)) if length else a
