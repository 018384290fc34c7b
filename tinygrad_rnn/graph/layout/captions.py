"""Where the numbers on edges stand: on their own curve, off every node, arrow and other number, away from other
curves."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set

from .curves import ARROW, Curve, Point

Rectangle = tuple[float, float, float, float]  # left, low, right, high
Place = tuple[int, int]

TILE = 48.0  # of the grid by which neighbours are found
STEP = 5.0  # between the places on a curve that are tried
MOST = 400  # of them on one piece of a curve: a line over hundreds of steps needs no more
# What it costs to stand on these, against at most 1 for standing off the middle.
ON_NODE, ON_NUMBER, ON_CURVE, ON_BARE = 1000.0, 400.0, 3.0, 1.0
ON_SHARED = 12.0  # where another curve with a number runs in the same place, one cannot tell whose this one is
NO_CURVE = -1
CLEAR = 2.0  # between a number and what is beside it
HEAD = 5  # so many points of another curve an arrow counts as, that of the number's own curve too
BROAD = 4.0  # half the width of the broadest line, which a number beside it is to leave free


def spots(
    curves: Sequence[Curve], sizes: Sequence[tuple[float, float] | None], taken: Sequence[Rectangle]
) -> list[Point | None]:
    """The centre of each number, None where there is none to place.

    sizes: the width and height of the number of each curve. taken: where nodes and headings are.
    """
    points = [_points(curve) for curve in curves]
    busy: dict[Place, list[Rectangle]] = defaultdict(list)
    for border in taken:
        for tile in _tiles(border):
            busy[tile].append(border)
    lines: dict[Place, list[tuple[float, float, int]]] = defaultdict(list)
    for k, along in enumerate(points):
        for x, y in along:
            lines[math.floor(x / TILE), math.floor(y / TILE)].append((x, y, k))
    for curve in curves:
        x, y = (curve.points[-1][0] + curve.tip[0]) / 2, (curve.points[-1][1] + curve.tip[1]) / 2
        lines[math.floor(x / TILE), math.floor(y / TILE)] += [(x, y, NO_CURVE)] * HEAD
    bare = {k for k, size in enumerate(sizes) if size is None}
    numbers: dict[Place, list[Rectangle]] = defaultdict(list)
    found: list[Point | None] = [None] * len(curves)
    # The shortest curves have the least choice.
    for k in sorted((k for k, size in enumerate(sizes) if size is not None), key=lambda k: (len(points[k]), k)):
        size = sizes[k]
        assert size is not None
        best = math.inf
        for off, at in _candidates(points[k]):
            if off >= best:
                break  # no place further from the middle can be better
            cost = _cost(k, at, off, size, busy, numbers, lines, bare, best)
            if cost < best:
                best, found[k] = cost, at
        border = _around(found[k] or points[k][0], size)
        for tile in _tiles(border):
            numbers[tile].append(border)
    return found


def _points(curve: Curve) -> list[Point]:
    """Points along the curve, about equally far apart, from its beginning to its arrow."""
    found = [curve.points[0]]
    for k in range(0, len(curve.points) - 1, 3):
        a, b, c, d = curve.points[k : k + 4]
        length = math.dist(a, b) + math.dist(b, c) + math.dist(c, d)
        count = min(max(1, round(length / STEP)), MOST)
        for j in range(1, count + 1):
            t = j / count
            p, q, r, s = (1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3
            found.append((p * a[0] + q * b[0] + r * c[0] + s * d[0], p * a[1] + q * b[1] + r * c[1] + s * d[1]))
    return found


def _candidates(points: Sequence[Point]) -> list[tuple[float, Point]]:
    """How far off the middle, from 0 to 1, and where; the nearest first. The arrow counts as part of the line."""
    last = len(points) - 1 + ARROW / STEP
    stride = max(1, len(points) // 160)
    return sorted((abs(2 * j / last - 1), points[j]) for j in range(0, len(points), stride))


def _cost(
    k: int,
    at: Point,
    off: float,
    size: tuple[float, float],
    busy: dict[Place, list[Rectangle]],
    numbers: dict[Place, list[Rectangle]],
    lines: dict[Place, list[tuple[float, float, int]]],
    bare: Set[int],
    enough: float,
) -> float:
    """How bad a place is. bare: the curves without a number. enough: from which it does not matter how much worse."""
    border, shared = _around(at, size), False
    for tile in _tiles(border):
        for other in busy.get(tile, ()):
            off += ON_NODE * _overlap(border, other)
        for other in numbers.get(tile, ()):
            off += ON_NUMBER * _overlap(border, other)
    left, low, right, high = border[0] - BROAD, border[1] - BROAD, border[2] + BROAD, border[3] + BROAD
    for tile in _tiles((left, low, right, high)):
        if off >= enough:
            break
        for x, y, curve in lines.get(tile, ()):
            if curve != k and left < x < right and low < y < high:
                off += ON_CURVE if curve not in bare else ON_BARE
                shared = shared or (curve not in bare and abs(x - at[0]) + abs(y - at[1]) < STEP / 2 + 1)
    return off + ON_SHARED * shared


def _around(at: Point, size: tuple[float, float]) -> Rectangle:
    wide, high = size[0] / 2 + CLEAR, size[1] / 2 + CLEAR
    return at[0] - wide, at[1] - high, at[0] + wide, at[1] + high


def _overlap(a: Rectangle, b: Rectangle) -> float:
    """0 where a and b are apart, else from a tenth on, more the more of a is covered by b."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return 0.1 + wide * high / ((a[2] - a[0]) * (a[3] - a[1])) if wide > 0 and high > 0 else 0.0


def _tiles(border: Rectangle) -> Iterator[Place]:
    left, low, right, high = (math.floor(v / TILE) for v in border)
    for i in range(left, right + 1):
        for j in range(low, high + 1):
            yield i, j
