"""The backward pass as data gives what the rules give, for every primitive, by an interpreter of a few lines."""

import base64

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine.samples import node_of, samples_of
from tinygrad_rnn.debug import linear
from tinygrad_rnn.engine import primitives as p
from tinygrad_rnn.engine.sweep import sweep

DIFFERENTIABLE = sorted(name for name, primitive in p.TABLE.items() if primitive.differentiable)


def apply(map_, g, size, arrays):
    """The contribution, flattened, of one map to a cotangent."""
    data = {k: np.frombuffer(base64.b64decode(v), {"f": "<f8", "i": "<i4"}[k]) for k, v in arrays.base64().items()}

    def array(number):
        kind, first, count = arrays.table[number]
        return data[kind][first : first + count]

    kind, *rest = map_
    g, part = g.reshape(-1), np.zeros(size)
    if kind == "sparse":
        o, i, d = rest
        count = len(array(o)) if o is not None else len(array(i)) if i is not None else g.size
        at_o = array(o) if o is not None else np.arange(count)
        at_i = array(i) if i is not None else np.arange(count)
        np.add.at(part, at_i, g[at_o] * (1.0 if d is None else array(d)))
        return part
    if kind == "times":
        m, r, n, k, turned = rest
        matrix = array(m).reshape((k, n)).T if turned else array(m).reshape((n, k))
        return (g.reshape((r, n)) @ matrix).reshape(-1)
    if kind == "outer":
        x, r, n, k, turned = rest
        found = g.reshape((r, n)).T @ array(x).reshape((r, k))
        return (found.T if turned else found).reshape(-1)
    if kind == "rows":
        *factors, m = rest
        ones = (np.ones(1) if number is None else array(number) for number in factors)
        d, u, v = (np.broadcast_to(one, g.shape).reshape((-1, m)) for one in ones)
        g = g.reshape((-1, m))
        return (d * g + u * (v * g).sum(axis=1, keepdims=True)).reshape(-1)
    return g @ array(rest[0]).reshape((g.size, size))


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_every_rule_is_written_out_as_the_linear_map_that_it_is(name):
    rng = np.random.default_rng(0)
    for sample in samples_of(name):
        node = node_of(sample)
        g = rng.normal(size=node.shape)
        for slot, x in enumerate(node.inputs):
            if not x.tracked or node.primitive.rules[slot] is None:
                continue
            arrays = linear.Arrays()
            found = linear.map_of(node, slot, arrays)
            assert found is not None, (sample, slot)
            order = {t.index: t for t in (*node.inputs, node)}
            only = {node.index: lambda _, at, part, slot=slot: part if at == slot else None}
            with np.errstate(all="ignore"):
                wanted = sweep(order, {node.index: g}, [x.index], at_edge=only)
            np.testing.assert_allclose(
                apply(found, g, x.size, arrays), wanted[x.index].reshape(-1), rtol=1e-12, atol=1e-14
            )


def test_what_is_too_big_to_be_written_out_is_said_to_be_missing():
    x = tg.Tensor(np.ones((200, 200)), requires_grad=True)
    y = x.cumsum(axis=0)
    assert linear.map_of(y, 0, linear.Arrays()) is None


def test_a_state_in_a_long_stack_is_written_out_as_long_as_it_is_itself():
    states = [tg.Tensor(np.full(8, 0.5), requires_grad=True) for _ in range(500)]
    for joined in (tg.stack(states), tg.concatenate(states)):
        arrays = linear.Arrays()
        assert linear.map_of(joined, 250, arrays) is not None
        assert arrays.bytes <= 2 * 4 * 8


def test_equal_arrays_are_kept_once():
    arrays = linear.Arrays()
    assert arrays.floats(np.arange(5.0)) == arrays.floats(np.arange(5.0))
    assert arrays.floats(np.zeros(1)) != arrays.integers(np.zeros(2))
    assert arrays.bytes == 8 * 5 + 8 + 4 * 2
