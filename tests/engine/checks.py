"""What every sample of every primitive must pass. Each check takes a sample and raises AssertionError.

They are used three times: on the table as it is, on every rule made wrong by a millionth (test_table.py), and on
hundreds of mutants of the engine (tests/mutation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tests.engine.samples import Sample, generator, node_of, tensors_of
from tinygrad_rnn.engine.sweep import sweep, tape

Array = np.ndarray


def forward_is_right(sample: Sample) -> None:
    """The value is that of the reference, has its shape and dtype, and is what the same call on arrays computes."""
    y, expected = node_of(sample), sample.reference(*sample.inputs, **sample.how)
    assert y.primitive.name == sample.primitive
    assert type(y.value) is np.ndarray
    assert (y.shape, y.dtype) == (np.shape(expected), np.asarray(expected).dtype)
    close(y.value, expected, 1e-13)
    equal(y.primitive(*[x.value for x in y.inputs], **y.params), y.value)


def rules_are_the_derivative(sample: Sample) -> None:
    """Each slot's rule, on plain arrays, is the transposed Jacobian: by complex step to 1e-12, or where the function
    is not analytic, by real differences to 1e-8."""
    y = node_of(sample)
    rng = generator(str(sample))
    for slot, x in slots(y):
        jacobian, limit = numeric_jacobian(y, slot)
        g = rng.uniform(-2.0, 2.0, (3, *y.shape))
        found = summed_to(contribution(y, slot, g), (3, *x.shape), 1)
        close(found, np.tensordot(g, jacobian, y.ndim), limit)


def leading_axes_are_a_stack(sample: Sample) -> None:
    """A cotangent with one or two leading axes gives the stack of what its rows give one by one."""
    y = node_of(sample)
    rng = generator(str(sample))
    for slot, x in slots(y):
        g = rng.uniform(-2.0, 2.0, (2, 3, *y.shape))
        rows = [[summed_to(contribution(y, slot, one), x.shape, 0) for one in row] for row in g]
        alone = np.array(rows).reshape((2, 3, *x.shape))
        close(summed_to(contribution(y, slot, g), (2, 3, *x.shape), 2), alone, 1e-15 * (1 + y.value.size))
        close(summed_to(contribution(y, slot, g[1]), (3, *x.shape), 1), alone[1], 1e-15 * (1 + y.value.size))
        empty = contribution(y, slot, g[:0])
        assert summed_to(empty, (0, 3, *x.shape), 2).shape == (0, 3, *x.shape)


def rules_are_linear(sample: Sample) -> None:
    """rule(a g + b h) = a rule(g) + b rule(h), and nothing comes of a cotangent of 0."""
    y = node_of(sample)
    rng = generator(str(sample))
    for slot, _ in slots(y):
        g, h = rng.uniform(-2.0, 2.0, (2, *y.shape))
        both = contribution(y, slot, 2.5 * g - 0.5 * h)
        close(both, 2.5 * contribution(y, slot, g) - 0.5 * contribution(y, slot, h), 1e-14)
        assert not np.any(contribution(y, slot, np.zeros(y.shape)))


def rules_are_the_same_on_tensors(sample: Sample) -> None:
    """A rule given Tensors records what it computes on arrays, and gives the same numbers; with leading axes too."""
    y = node_of(sample)
    rng = generator(str(sample))
    for slot, x in slots(y):
        for front in ((), (2,)):
            g = rng.uniform(-2.0, 2.0, (*front, *y.shape))
            recorded = y.primitive.rules[slot](tg.Tensor(g, requires_grad=True), y, *y.inputs, **y.params)
            assert isinstance(recorded, tg.Tensor)
            assert recorded.requires_grad
            plain = contribution(y, slot, g)
            assert recorded.shape == plain.shape
            assert plain.ndim >= x.ndim + len(front)
            equal(recorded.value, plain)


def rules_transposed_are_forward_mode(sample: Sample) -> None:
    """A recorded rule, differentiated by its cotangent, is the Jacobian itself: how jvp works."""
    y = node_of(sample)
    rng = generator(str(sample))
    for slot, x in slots(y):
        jacobian, limit = numeric_jacobian(y, slot)
        g = tg.Tensor(rng.uniform(-2.0, 2.0, y.shape), requires_grad=True)
        recorded = y.primitive.rules[slot](g, y, *y.inputs, **y.params)
        v = rng.uniform(-2.0, 2.0, x.shape)
        moved = tg.vjp(recorded, g, np.broadcast_to(v, recorded.shape), create_graph=True)
        close(moved.data, np.tensordot(jacobian, v, x.ndim), limit)


def sweeps_agree(sample: Sample) -> None:
    """The quick sweep, the one that asks at every edge, and the recorded one give the same gradients, each of its
    input's shape and dtype; so does the sum over the edges."""
    xs = tensors_of(sample)
    y = sample.f(*xs, **sample.how)
    if not y.requires_grad:
        return
    rows = y.shape[0] if y.ndim else 2  # as many as y is long, so that a mix-up of axes cannot show in the shapes
    g = generator(str(sample)).uniform(-2.0, 2.0, (rows, *y.shape))
    order, keep = tape([y], xs), [x.index for x in xs]
    edges: list[tuple[int, Array]] = []

    def note(consumer: Any, slot: int, part: Any) -> Any:
        edges.append((consumer.inputs[slot].index, part))
        return part

    quick = sweep(order, {y.index: g}, keep)
    asked = sweep(order, {y.index: g}, keep, at_edge=dict.fromkeys(order, note))
    recorded = sweep(order, {y.index: tg.Tensor(g)}, keep, create_graph=True)
    alone = [sweep(order, {y.index: row}, keep) for row in g]
    assert quick.keys() == asked.keys() == recorded.keys() == {x.index for x in xs}
    for x in xs:
        found = quick[x.index]
        assert (found.shape, found.dtype) == ((rows, *x.shape), x.dtype)
        assert type(found) is np.ndarray
        assert found.flags.writeable
        close(asked[x.index], found, 1e-15)
        close(recorded[x.index].value, found, 1e-15)
        close(np.reshape([one[x.index] for one in alone], found.shape), found, 1e-15 * (1 + y.size))
        close(np.sum([part for index, part in edges if index == x.index], axis=0), found, 1e-15)


def first_and_second_order(sample: Sample) -> None:
    """`gradcheck`, through the public API: gradients, and gradients of gradients."""
    tg.gradcheck(lambda *xs: sample.f(*xs, **sample.how), *sample.inputs, order=2)


CHECKS: list[Callable[[Sample], None]] = [
    forward_is_right,
    rules_are_the_derivative,
    leading_axes_are_a_stack,
    rules_are_linear,
    rules_are_the_same_on_tensors,
    rules_transposed_are_forward_mode,
    sweeps_agree,
    first_and_second_order,
]


# What they are made of ---------------------------------------------------------------------------------------------


def slots(y: tg.Tensor) -> Iterator[tuple[int, tg.Tensor]]:
    """The edges into y on which gradient flows."""
    for slot, x in enumerate(y.inputs):
        if x.requires_grad and y.primitive.differentiable and y.primitive.rules[slot] is not None:
            yield slot, x


def numeric_jacobian(y: tg.Tensor, slot: int) -> tuple[Array, float]:
    """dy/dx for the input in a slot, shaped (*y.shape, *x.shape), without any rule; and how exact it is."""
    primitive, arrays = y.primitive, [x.value for x in y.inputs]

    def forward(x: Array) -> Array:
        return np.asarray(primitive.forward(*arrays[:slot], x, *arrays[slot + 1 :], **y.params))

    step, limit = (_complex_step, 1e-12) if primitive.analytic else (_difference, 1e-8)
    columns = [step(forward, arrays[slot], at) for at in np.ndindex(arrays[slot].shape)]
    jacobian = np.array(columns).reshape((*arrays[slot].shape, *y.shape))
    return np.moveaxis(jacobian, range(arrays[slot].ndim), range(y.ndim, jacobian.ndim)), limit


def _complex_step(forward: Callable[[Array], Array], x: Array, at: tuple[int, ...]) -> Array:
    shifted = x.astype(complex)
    shifted[at] += 1e-30j
    return forward(shifted).imag / 1e-30


def _difference(forward: Callable[[Array], Array], x: Array, at: tuple[int, ...]) -> Array:
    """Central, with the step halved once and extrapolated."""

    def slope(h: float) -> Array:
        low, high = x.copy(), x.copy()
        low[at] -= h
        high[at] += h
        return (forward(high) - forward(low)) / (2 * h)

    return (4 * slope(2.0**-11) - slope(2.0**-10)) / 3


def contribution(y: tg.Tensor, slot: int, g: Array) -> Array:
    return y.primitive.rules[slot](g, y.value, *[x.value for x in y.inputs], **y.params)


def summed_to(part: Array, shape: tuple[int, ...], lead: int) -> Array:
    """Broadcasting undone: what was spread over axes behind the `lead` first ones is summed over them."""
    added = part.ndim - len(shape)
    part = part.sum(axis=tuple(range(lead, lead + added)))
    return part.sum(axis=tuple(a for a in range(lead, len(shape)) if shape[a] == 1), keepdims=True)


def close(found: Any, expected: Any, limit: float) -> None:
    """Equal to `limit`, relative to the largest element (or to 1, where all are smaller)."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    error = np.abs(found - expected)
    assert np.all(error <= limit * scale), f"off by {np.max(error):.2e} where {limit * scale:.2e} is allowed"


def equal(found: Any, expected: Any) -> None:
    """Bitwise."""
    np.testing.assert_array_equal(found, expected, strict=False)
