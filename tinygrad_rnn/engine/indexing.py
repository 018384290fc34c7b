"""What is inside the brackets of ``x[...]``: a slice, or a gather with arrays of integers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .arguments import shortened, whole

Index = tuple[Any, ...]


def parse(index: Any, shape: tuple[int, ...]) -> tuple[bool, Index]:
    """(whether this is a gather, the index in normal form: ints, slices, None, and for a gather integer arrays).

    Boolean arrays become the integer arrays of their True elements, and arrays are copied, since the tape relies on
    them. Raises IndexError for a boolean array whose shape is not that of the axes it selects from.
    """
    items = index if type(index) is tuple else (index,)
    for item in items:  # the usual case first, since a recurrent cell slices its gates at every step
        kind = type(item)
        if kind is slice:
            if type(item.start) in _PLAIN and type(item.stop) in _PLAIN and item.step is None:
                continue
        elif kind in _PLAIN or item is Ellipsis:
            continue
        break
    else:
        return False, items
    settled = [_simple(item) for item in items]
    if not any(isinstance(item, np.ndarray) for item in settled):
        return False, tuple(settled)
    found = tuple(_integers(_without_ellipsis(settled, len(shape)), shape))
    for item in found:
        if isinstance(item, np.ndarray):
            item.flags.writeable = False  # it can be read on the tape, and must not change there
    return True, found


_PLAIN = frozenset((int, type(None)))


def _simple(item: Any) -> Any:
    """Numbers as int, everything that is neither number, slice, None nor ... as an array of its own."""
    if item is None or item is Ellipsis or type(item) is int:
        return item
    if isinstance(item, slice):
        bounds = (item.start, item.stop, item.step)
        return slice(*(bound if bound is None else _whole(bound) for bound in bounds))
    if isinstance(item, (bool, np.bool_)):
        raise IndexError("a single True or False is not an index here; use x[None] for a new axis, or tg.where")
    if isinstance(item, np.integer):
        return int(item)
    try:
        array = np.array(item)
    except ValueError:
        raise IndexError(f"the rows of the index {shortened(item)} have different lengths") from None
    if array.dtype.kind not in "iub" and array.size:
        raise IndexError(
            "an index is a whole number, a slice, ..., None, or an array of whole numbers or booleans; "
            f"got {shortened(item)}"
        )
    return array.astype(np.intp) if array.size == 0 and array.dtype != bool else array


def _whole(bound: Any) -> int:
    try:
        return whole(bound, "the bound of a slice")
    except TypeError as error:
        raise IndexError(str(error)) from None


def _without_ellipsis(items: list[Any], ndim: int) -> list[Any]:
    used = sum(_axes_used(item) for item in items)
    if not any(item is Ellipsis for item in items):
        return items
    at = next(k for k, item in enumerate(items) if item is Ellipsis)
    return [*items[:at], *[slice(None)] * (ndim - used), *items[at + 1 :]]


def _axes_used(item: Any) -> int:
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if isinstance(item, np.ndarray) and item.dtype == bool else 1


def _integers(items: Iterable[Any], shape: tuple[int, ...]) -> Iterable[Any]:
    axis = 0
    for item in items:
        if isinstance(item, np.ndarray) and item.dtype == bool:
            if item.shape != shape[axis : axis + item.ndim]:
                raise IndexError(
                    f"a boolean index of shape {item.shape} selects from axes {axis} to {axis + item.ndim - 1}, "
                    f"but those have shape {shape[axis : axis + item.ndim]}; the two must be equal"
                )
            yield from item.nonzero()
        else:
            yield item
        axis += _axes_used(item)
