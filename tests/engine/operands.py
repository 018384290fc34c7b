"""How random programs are drawn: operands and arguments for every operation.

Zero-size arrays, broadcasting, repeated indices, one value used several times, and ties are frequent. Values stay
where every operation is defined, and where two libraries that differ in the last digit cannot take different sides of
a kink: a tie is allowed only between values that all libraries compute to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.engine.programs import Array, How, Library, Pool, Program, Step

SHAPES = [
    (),
    (1,),
    (3,),
    (4,),
    (2, 3),
    (3, 2),
    (3, 3),
    (1, 3),
    (2, 1),
    (4, 2),
    (2, 2, 3),
    (2, 1, 3),
    (0,),
    (2, 0),
    (0, 3),
]
LARGEST, WIDEST = 50.0, 60  # the largest value and number of elements


def draw(rng: np.random.Generator, library: Library, longest: int = 14) -> Program:
    """A program; `library` is what computes the values while it grows."""
    pool = Pool(rng)
    for _ in range(rng.integers(1, 4)):
        pool.add(_input(rng, tuple(SHAPES[rng.integers(len(SHAPES))])), exact=True)
    count = len(pool.values)
    wanted = int(rng.integers(1, longest + 1))
    steps: list[Step] = []
    names = list(DRAWN)
    for _ in range(20 * wanted):
        operation = names[rng.integers(len(names))]
        chosen = DRAWN[operation](pool)
        if chosen is None:
            continue
        used, how = chosen
        value = np.asarray(library[operation](*[pool.values[k] for k in used], **how))
        if value.size > WIDEST or not np.all(np.abs(value) <= LARGEST):
            continue
        pool.add(value, exact=operation in EXACT and all(pool.exact[k] for k in used))
        steps.append(Step(operation, used, how))
        if len(steps) == wanted:
            break
    in_use = {k for step in steps for k in step.inputs}
    ends = [k for k in range(len(pool.values)) if k not in in_use]
    weights = {k: rng.uniform(0.5, 1.5, pool.values[k].shape) * rng.choice([-1.0, 1.0]) for k in ends}
    return Program(tuple(pool.values[:count]), tuple(steps), weights)


def _input(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    if rng.random() < 0.5:
        return rng.integers(-3, 4, shape) / 2.0  # halves: zeros and ties
    return rng.uniform(-2.0, 2.0, shape)


Drawer = Callable[[Pool], tuple[tuple[int, ...], How] | None]
DRAWN: dict[str, Drawer] = {}
# What every library computes to the last bit, on exact values.
EXACT = {
    *["named", "negative", "square", "abs", "relu", "add", "subtract", "multiply", "maximum", "minimum", "clip"],
    *["where", "where_greater", "max", "min", "reshape", "transpose", "swapaxes", "moveaxis", "expand_dims", "squeeze"],
    *["broadcast_to", "concatenate", "stack", "split", "pad", "slice", "gather", "embedding", "outer"],
}


def drawn(*names: str) -> Callable[[Any], Any]:
    """Decorate what draws the operands and arguments of these operations."""

    def register(drawer: Any) -> Any:
        for name in names:
            DRAWN[name] = (lambda pool, name=name: drawer(pool, name)) if len(names) > 1 else drawer
        return drawer

    return register


_DOMAINS: dict[str, Callable[[Array], Any]] = {
    "named": lambda x: True,
    "negative": lambda x: True,
    "exp": lambda x: np.all(x < 3),
    "expm1": lambda x: np.all(x < 3),
    "log": lambda x: np.all(x > 0.2),
    "log1p": lambda x: np.all(x > -0.8),
    "sqrt": lambda x: np.all(x > 0.2),
    "square": lambda x: True,
    "sin": lambda x: True,
    "cos": lambda x: True,
    "tanh": lambda x: True,
    "sigmoid": lambda x: True,
    "softplus": lambda x: True,
}


@drawn(*_DOMAINS)
def _one(pool: Pool, name: str) -> Any:
    k = pool.one(_DOMAINS[name])
    return None if k is None else ((k,), {})


@drawn("abs", "relu")
def _kinked(pool: Pool, name: str) -> Any:
    k = pool.one()
    return ((k,), {}) if pool.distinct((k, pool.values[k]), (None, 0.0)) else None


@drawn("clip")
def _clip(pool: Pool) -> Any:
    k = pool.one()
    x = pool.values[k]
    low, high = sorted(pool.rng.choice([*x.flat, -0.75, 0.75], 2))  # often at a value: an edge
    fits = pool.distinct((k, x), (None, low)) and pool.distinct((k, x), (None, high))
    return ((k,), {"low": float(low), "high": float(high)}) if fits else None


def _broadcast(a: Array, b: Array) -> bool:
    return _fits(a.shape, b.shape)


def _fits(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(first[::-1], second[::-1], strict=False))


_PAIRS: dict[str, Callable[[Array, Array], Any]] = {
    "add": _broadcast,
    "subtract": _broadcast,
    "multiply": _broadcast,
    "divide": lambda a, b: _broadcast(a, b) and np.all(np.abs(b) > 0.2),
    "power": lambda a, b: _broadcast(a, b) and np.all(a > 0.2) and np.all(np.abs(b) < 3),
    "outer": lambda a, b: a.size * b.size <= WIDEST,
    "dot": lambda a, b: a.ndim * b.ndim == 0 or a.shape[-1] == b.shape[-2 if b.ndim > 1 else -1],
    "matmul": lambda a, b: (
        a.ndim * b.ndim > 0
        and a.shape[-1] == b.shape[-2 if b.ndim > 1 else -1]
        and (a.ndim < 3 or b.ndim < 3 or _fits(a.shape[:-2], b.shape[:-2]))
    ),
}


@drawn(*_PAIRS)
def _two(pool: Pool, name: str) -> Any:
    chosen = pool.several(lambda a: True, _PAIRS[name])
    return None if chosen is None else (chosen, {})


@drawn("maximum", "minimum", "where_greater")
def _extreme(pool: Pool, name: str) -> Any:
    chosen = pool.several(lambda a: True, _broadcast)
    return (chosen, {}) if chosen and pool.distinct(*[(k, pool.values[k]) for k in chosen]) else None


@drawn("power_of_number", "number_minus")
def _numbers(pool: Pool, name: str) -> Any:
    if name == "number_minus":
        return (pool.one(),), {"number": float(pool.rng.integers(-2, 3))}
    number = [2, 3, 1, 0, 2.0, -1, 0.5][pool.rng.integers(7)]
    k = pool.one((lambda x: True) if number in (0, 1, 2, 3) else lambda x: np.all(x > 0.2))
    return None if k is None else ((k,), {"number": number})


@drawn("where")
def _where(pool: Pool) -> Any:
    chosen = pool.several(lambda a: True, _broadcast)
    if chosen is None:
        return None
    shape = np.broadcast_shapes(*[pool.values[k].shape for k in chosen])
    return chosen, {"condition": pool.rng.random(shape) < 0.5}


@drawn("sum", "mean", "max", "min", "logsumexp")
def _reduce(pool: Pool, name: str) -> Any:
    k = pool.one((lambda x: True) if name == "sum" else lambda x: x.size > 0)
    if k is None:
        return None
    x, rng = pool.values[k], pool.rng
    axes = [int(a) for a in rng.permutation(x.ndim)[: rng.integers(0, x.ndim + 1)]]
    axis = None if not axes else axes[0] - x.ndim if len(axes) == 1 else tuple(axes)
    if name in ("max", "min") and not _well_apart(pool, k, x, axis):
        return None
    return (k,), {"axis": axis, "keepdims": bool(rng.random() < 0.5)}


def _well_apart(pool: Pool, k: int, x: Array, axis: Any) -> bool:
    """No element is nearly the largest or smallest of its group, other than exact ties."""
    for top in (x.max(axis=axis, keepdims=True), x.min(axis=axis, keepdims=True)):
        ties = (x == top).sum(axis=axis)
        if not pool.distinct((k, np.where(x == top, top + 1.0, x)), (None, top)) or np.any(ties > 1) > pool.exact[k]:
            return False
    return True


@drawn("softmax", "log_softmax", "cumsum")
def _along(pool: Pool, name: str) -> Any:
    k = pool.one(lambda x: x.ndim and x.size)
    return None if k is None else ((k,), {"axis": int(pool.rng.integers(-pool.values[k].ndim, pool.values[k].ndim))})


@drawn("reshape")
def _reshape(pool: Pool) -> Any:
    k = pool.one()
    shape = pool.values[k].shape
    options = [(-1,) if pool.values[k].size else (0,), (*shape, 1), (1, *shape), shape[::-1], shape]
    return (k,), {"shape": options[pool.rng.integers(len(options))]}


@drawn("transpose", "swapaxes", "moveaxis", "expand_dims", "squeeze")
def _axes(pool: Pool, name: str) -> Any:
    rng = pool.rng
    k = pool.one((lambda x: True) if name == "expand_dims" else lambda x: x.ndim)
    if k is None:
        return None
    x = pool.values[k]
    if name == "transpose":
        return (k,), {"axes": tuple(int(a) for a in rng.permutation(x.ndim))}
    if name == "expand_dims":
        return (k,), {"axis": int(rng.integers(-x.ndim - 1, x.ndim + 1))}
    if name == "squeeze":
        ones = [a for a, n in enumerate(x.shape) if n == 1]
        return ((k,), {"axis": ones[rng.integers(len(ones))]}) if ones else None
    first, second = (int(a) for a in rng.integers(-x.ndim, x.ndim, 2))
    return (k,), {"first": first, "second": second}


@drawn("broadcast_to")
def _broadcast_to(pool: Pool) -> Any:
    k = pool.one()
    wide = [int(pool.rng.integers(0, 4)) if n == 1 else n for n in pool.values[k].shape]
    return (k,), {"shape": ((2, *wide) if pool.rng.random() < 0.5 else tuple(wide))}


@drawn("concatenate", "stack")
def _join(pool: Pool, name: str) -> Any:
    same = lambda *xs: xs[-1].shape == xs[0].shape
    chosen = pool.several(
        (lambda x: x.ndim) if name == "concatenate" else (lambda x: True), *[same] * pool.rng.integers(3)
    )
    if chosen is None:
        return None
    ndim = pool.values[chosen[0]].ndim + (name == "stack")
    return chosen, {"axis": int(pool.rng.integers(-ndim, ndim))}


@drawn("split")
def _split(pool: Pool) -> Any:
    k = pool.one(lambda x: any(n % 2 == 0 for n in x.shape))
    if k is None:
        return None
    even = [a for a, n in enumerate(pool.values[k].shape) if n % 2 == 0]
    return (k,), {"axis": even[pool.rng.integers(len(even))], "part": int(pool.rng.integers(2))}


@drawn("pad")
def _pad(pool: Pool) -> Any:
    k = pool.one(lambda x: x.ndim)
    if k is None:
        return None
    widths = pool.rng.integers(0, 2, (pool.values[k].ndim, 2))
    return (k,), {"widths": tuple((int(a), int(b)) for a, b in widths), "value": float(pool.rng.integers(-1, 2))}


@drawn("slice")
def _slice(pool: Pool) -> Any:
    k = pool.one(lambda x: x.size)
    return None if k is None else ((k,), {"index": tuple(_places(pool.rng, pool.values[k].shape))})


def _places(rng: np.random.Generator, shape: tuple[int, ...]) -> Iterator[Any]:
    for n in shape:
        if rng.random() < 0.2:
            yield None
        start, stop = (int(a) for a in rng.integers(-n, n + 1, 2))
        options = [
            slice(None),
            slice(start, stop),
            slice(None, None, -1),
            slice(start, None, 2),
            int(rng.integers(-n, n)),
        ]
        yield options[rng.integers(len(options))]
    if rng.random() < 0.3:
        yield ...


@drawn("gather")
def _gather(pool: Pool) -> Any:
    k, rng = pool.one(lambda x: x.ndim and x.size), pool.rng
    if k is None:
        return None
    shape = pool.values[k].shape
    repeated = [rng.integers(-n, n, 3) for n in shape]
    options: list[Any] = [
        (repeated[0],),
        (rng.integers(0, shape[0], (2, 2)),),
        (rng.random(shape) < 0.6,),
        (..., repeated[-1]),
        (rng.random(shape[0]) < 0.6,),
        tuple(repeated),
        (repeated[0], *[slice(None)] * (len(shape) - 2), repeated[-1]) if len(shape) > 1 else (repeated[0], None),
        (None, repeated[0], slice(None, None, -1)) if len(shape) > 1 else (None, repeated[0]),
    ]
    return (k,), {"index": options[rng.integers(len(options))]}


@drawn("embedding")
def _embedding(pool: Pool) -> Any:
    k = pool.one(lambda x: x.ndim == 2 and x.size)
    return None if k is None else ((k,), {"ids": pool.rng.integers(0, len(pool.values[k]), (2, 2))})


@drawn("linear")
def _linear(pool: Pool) -> Any:
    chosen = pool.several(
        lambda x: x.ndim,
        lambda x, w: w.ndim == 2 and w.shape[1] == x.shape[-1],
        *[lambda x, w, b: b.shape == w.shape[:1]] * pool.rng.integers(2),
    )
    return None if chosen is None else (chosen, {})


EINSUMS = [
    "ij->ji",
    "ij->i",
    "ii->i",
    "ii->",
    "i,i->",
    "i,j->ij",
    "ij,j->i",
    "ij,kj->ik",
    "ij,ij->",
    "i,i,i->i",
    "bij,bkj->bik",
]


@drawn("einsum")
def _einsum(pool: Pool) -> Any:
    subscripts = EINSUMS[pool.rng.integers(len(EINSUMS))]
    terms = subscripts.split("->")[0].split(",")
    chosen = pool.several(*[lambda *xs, n=n: _sizes_agree(terms[: n + 1], xs) for n in range(len(terms))])
    return None if chosen is None else (chosen, {"subscripts": subscripts})


def _sizes_agree(terms: list[str], xs: tuple[Array, ...]) -> bool:
    if any(len(term) != x.ndim for term, x in zip(terms, xs, strict=True)):
        return False
    sizes = [pair for term, x in zip(terms, xs, strict=True) for pair in zip(term, x.shape, strict=True)]
    return all(n == dict(sizes)[letter] for letter, n in sizes)
