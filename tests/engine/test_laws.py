"""The engine's laws 1, 4 and 5: leading axes and what a sweep visits, creation order, broadcasting undone.

What the laws say of a single rule (leading axes, linearity, arrays and Tensors alike) is among the checks that
test_primitives_all_samples.py runs. Law 2 has test_primitives_numpy.py, law 3 test_table.py, laws 6 to 8
test_laws_of_arrays.py.
"""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tests.engine.checks import close, slots
from tests.engine.samples import OPERATIONS, every_sample, generator, node_of, samples_of, tensors_of
from tinygrad_rnn.engine import primitives as p
from tinygrad_rnn.engine.sweep import sweep, tape

DIFFERENTIABLE = [name for name, primitive in p.TABLE.items() if primitive.differentiable]


def leaf(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name)


@pytest.fixture
def calls(monkeypatch):
    return counted_calls(monkeypatch)


def counted_calls(monkeypatch):
    """The names of the primitives whose rules were called, once for each slot."""
    called = []

    def counting(name, rule):
        return lambda *args, **params: (called.append(name), rule(*args, **params))[1]

    for name, primitive in p.TABLE.items():
        if isinstance(primitive.rules, tuple):
            rules = tuple(rule and counting(name, rule) for rule in primitive.rules)
            monkeypatch.setattr(primitive, "rules", rules)
    return called


# 1. Leading axes -----------------------------------------------------------------------------------------------------


@given(
    st.sampled_from([sample for sample in every_sample() if sample.primitive in DIFFERENTIABLE]),
    st.lists(st.integers(0, 3), max_size=4).map(tuple),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_number_of_leading_axes_is_a_stack_of_sweeps(sample, front):
    xs = tensors_of(sample)
    y = sample.f(*xs, **sample.how)
    v = generator(str(sample)).uniform(-2.0, 2.0, (*front, *y.shape))
    found = tg.vjp(y, xs, v)
    alone = [tg.vjp(y, xs, v[at]) for at in np.ndindex(front)]
    for k, x in enumerate(xs):
        assert found[k].shape == (*front, *x.shape)
        close(found[k], np.array([one[k] for one in alone]).reshape((*front, *x.shape)), 1e-15 * (1 + y.size))


def test_a_sweep_visits_only_what_leads_to_its_target(calls):
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    h = a.tanh()
    for _ in range(5):
        h = h.tanh() * b.sin()
    side = (b.exp().exp() * a.cos()).sum()
    y = h.sum() + side
    calls.clear()
    tg.grad(y, b)
    assert sorted(calls) == sorted(
        # the second slot of every product; of the first, all but that of the oldest, which leads to a only
        ["add"] * 2 + ["sum"] * 2 + ["multiply"] * 9 + ["multiply"] + ["tanh"] * 4 + ["sin"] * 5 + ["exp"] * 2
    )
    calls.clear()
    tg.grad(side, a)
    assert calls == ["sum", "multiply", "cos"]
    calls.clear()
    tg.vjp(h, h, np.ones(2))
    assert calls == []


def test_a_sweep_does_not_go_beyond_its_target(calls):
    h0 = leaf([0.1, 0.2])
    states = [h0]
    for _ in range(20):
        states.append(states[-1].tanh())
    tg.grad(states[20].sum(), states[15])
    assert calls == ["sum"] + ["tanh"] * 5


def test_a_jacobian_is_one_sweep(calls):
    x = leaf(np.linspace(-1.0, 1.0, 7))
    y = (x.tanh() * x).exp()
    found = tg.jacobian(y, x)
    assert calls == ["exp", "multiply", "multiply", "tanh"]
    t = np.tanh(x.data)
    close(found, np.diag(y.data * (t + x.data * (1 - t**2))), 1e-14)


def test_a_route_through_one_edge_is_the_sweep_with_the_others_cut():
    x = leaf([0.5, -1.5])
    y = x * x  # two edges from x
    for cut, expected in [((), 2 * x.data), ((0,), x.data), ((1,), x.data), ((0, 1), None)]:
        found = sweep(
            tape([y]),
            {y.index: np.ones(2)},
            [x.index],
            at_edge={y.index: lambda _, k, g, cut=cut: None if k in cut else g},
        )
        assert expected is None if x.index not in found else np.array_equal(found[x.index], expected)


def test_what_an_edge_does_to_what_passes_it_goes_on():
    x = leaf([0.5, -1.5])
    y = x.tanh().exp()
    order = tape([y])
    plain = tg.vjp(y, x, np.ones(2))
    found = sweep(order, {y.index: np.ones(2)}, [x.index], at_edge=dict.fromkeys(order, lambda node, slot, g: 3.0 * g))
    close(found[x.index], 9.0 * plain, 1e-15)


# 4. Creation order ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPERATIONS)
def test_inputs_are_older_than_what_is_made_of_them(name):
    for sample in samples_of(name):
        y = node_of(sample)
        assert all(x.index < y.index for x in y.inputs)
        assert list(tape([y])) == sorted(tape([y]))


def test_the_index_counts_up_in_the_order_of_creation():
    a = tg.Tensor([1.0])
    made = [a, a * 2, tg.stack([a, a]), a.sum(), a.detach(), tg.Tensor(0.0)]
    assert all(x.index < y.index for x, y in itertools.pairwise(made))


def test_data_replaced_between_forward_and_backward_is_refused_naming_both():
    w, x = leaf([1.0, 2.0], "w"), tg.Tensor([3.0, 4.0])
    with tg.scope("encoder"), tg.step(3):
        h = (w * x).named("h")
    w.data = [5.0, 6.0]
    for ask in (lambda: tg.grad(h.sum(), w), lambda: h.sum().backward(), lambda: tg.jacobian(h, w)):
        with pytest.raises(RuntimeError, match=r"«w».*replaced.*after «h», the result of multiply \(encoder, step 3\)"):
            ask()
    assert w.grad is None


def test_data_replaced_after_the_backward_pass_is_the_normal_case():
    w = leaf([1.0, 2.0])
    for _ in range(3):
        (w * w).sum().backward()
        w.data = w.data - 0.1 * w.grad
        w.grad = None
    close(w.data, np.array([1.0, 2.0]) * 0.8**3, 1e-15)


# 5. Broadcasting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_what_passes_an_edge_has_the_shape_and_dtype_of_the_producer(name):
    for sample in samples_of(name):
        y = node_of(sample)

        def look(consumer, slot, part):
            x = consumer.inputs[slot]
            assert (part.shape, part.dtype) == ((2, *x.shape), x.dtype)
            return part

        order = tape([y])
        sweep(order, {y.index: np.ones((2, *y.shape))}, [], at_edge=dict.fromkeys(order, look))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda g, y, x: g.swapaxes(-1, -2),
        lambda g, y, x: g.reshape((6,)),
        lambda g, y, x: np.stack([g, g], -1),
        lambda g, y, x: g[..., :2],
        lambda g, y, x: g[..., :1],
        lambda g, y, x: g.sum(),
    ],
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_contribution_of_the_wrong_shape_is_refused(wrong, create_graph, monkeypatch):
    monkeypatch.setattr(p.tanh, "rules", (wrong,))
    x = leaf(np.ones((2, 3)), "x")
    with pytest.raises(
        RuntimeError, match=r"rule of tanh for slot 0 gave a contribution of shape .* to «x», shape \(2, 3\)"
    ):
        tg.grad(x.tanh().sum(), x, create_graph=create_graph)


@pytest.mark.parametrize("name", OPERATIONS)
def test_values_and_gradients_of_single_numbers_are_arrays(name):
    for sample in samples_of(name):
        y = node_of(sample)
        assert type(y.value) is np.ndarray
        for _, x in slots(y):
            found = tg.vjp(y, x, np.ones(y.shape))
            assert type(found) is np.ndarray
            assert found.shape == x.shape


def test_a_gradient_that_many_edges_add_up_in_stays_an_array():
    x = leaf(2.0)
    y = x * x + x + x * 3.0
    y.backward()
    assert type(x.grad) is np.ndarray
    assert (x.grad.shape, float(x.grad)) == ((), 8.0)
    y.backward()
    assert type(x.grad) is np.ndarray
    assert float(x.grad) == 16.0


# Identity of tensors -------------------------------------------------------------------------------------------------


def test_an_element_of_a_stack_is_the_very_tensor_that_was_stacked():
    states = [tg.Tensor([float(k)], requires_grad=True) for k in range(4)]
    stacked = tg.stack(states)
    assert all(stacked[k] is states[k] for k in range(-4, 4))
    assert all(a is b for a, b in zip(stacked, states, strict=True))
    assert stacked[1, 0].inputs[0] is states[1]
    assert stacked[1:3].inputs[0] is stacked
    assert tg.stack(states, axis=1)[0].shape == (4,)
    assert tg.stack(states, axis=-1)[0].shape == (4,)
    with pytest.raises(IndexError):
        stacked[4]


def test_naming_a_named_tensor_makes_a_new_one():
    x = tg.Tensor([1.0], requires_grad=True, name="x")
    h = x.named("h")
    assert (x.name, h.name, h.primitive.name) == ("x", "h", "identity")
    unnamed = x * 2.0
    assert unnamed.named("a") is unnamed
