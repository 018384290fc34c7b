"""The engine's laws 1, 4 and 5: leading axes and what a sweep visits, creation order, broadcasting undone.

What the laws say of a single rule (leading axes, linearity, arrays and Tensors alike) is among the checks that
test_primitives_all_samples.py runs. Law 2 has test_primitives_numpy.py, law 3 test_table.py, laws 6 to 8
test_laws_of_arrays.py.
"""

import itertools
import weakref

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


@pytest.mark.parametrize("index", [slice(0, 2), [0, 0]])
def test_a_sweep_does_not_go_beyond_a_target_that_is_a_slice(index, monkeypatch):
    table = leaf(np.ones((1000, 2)))
    x = table[index]
    loss = (x * 3.0).sum()
    primitive = x.primitive
    asked = []
    right = primitive.add_into
    monkeypatch.setattr(primitive, "add_into", lambda *args, **params: (asked.append(1), right(*args, **params)))
    assert sweep(tape([loss], [x]), {loss.index: np.ones(())}, [x.index]).keys() == {x.index}
    assert not asked
    tg.grad(loss, table)
    assert asked


def test_a_sweep_answers_what_was_asked_and_nothing_else():
    x, other = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = (x * 2.0).sum()
    seeds = {y.index: np.ones(()), other.index: np.ones(2)}
    assert sweep(tape([y]), seeds, [x.index]).keys() == {x.index}
    assert sweep(tape([y], [other]), seeds, []) == {}
    assert sweep({}, seeds, [x.index]) == {}


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


class Watched:
    """A node as the sweep knows it, which counts how often its inputs are looked at."""

    primitive = p.add
    tracked = True

    def __init__(self, index, *inputs):
        self.index = self.born = index
        self.looked_at = 0
        self._inputs = inputs

    @property
    def inputs(self):
        self.looked_at += 1
        return self._inputs


def test_a_leading_axis_may_grow_on_the_way():
    """A row for every crossing so far, in h[t] = w h[t-1] + b[1:]."""
    w, b, h = tg.Tensor(3.0, requires_grad=True), tg.Tensor(np.ones(3), requires_grad=True), tg.Tensor(np.ones(2))
    for _ in tg.steps(range(4)):
        h = w * h + b[1:]
    order = tape([h], [b])

    def shift(consumer, slot, part):
        rows = 4 if consumer.inputs[slot] is b else 4 - consumer.inputs[slot].place.step
        crosses = consumer.inputs[slot].place.step not in (None, consumer.place.step)
        grown = np.zeros((rows, *part.shape[1:]))
        grown[crosses : crosses + len(part)] = part
        return grown

    found = sweep(order, {h.index: np.ones((1, 2))}, [b.index], dict.fromkeys(order, shift))[b.index]
    assert np.array_equal(found, [[0, 3.0**k, 3.0**k] for k in range(4)])


def test_a_tape_has_every_leaf_the_very_first_tensor_too():
    first = Watched(0)
    y = Watched(1, first)
    assert list(tape([y])) == [0, 1]
    assert list(tape([y], [first])) == [0, 1]
    assert tape([y], []) == {}


def test_a_tape_looks_at_each_node_once():
    nodes = [Watched(0)]
    for k in range(1, 12):
        nodes.append(Watched(k, nodes[-1], nodes[-1], *nodes[-3:-1]))
    assert list(tape(nodes[-1:])) == list(range(12))
    assert [node.looked_at for node in nodes] == [1] * 12


def test_a_tape_is_not_followed_to_nodes_older_than_its_targets():
    nodes = [Watched(0)]
    for k in range(1, 12):
        nodes.append(Watched(k, nodes[-1]))
    assert list(tape([nodes[11]], [nodes[9]])) == [9, 10, 11]
    assert [k for k, node in enumerate(nodes) if node.looked_at] == [9, 10, 11]
    assert tape([nodes[3]], [nodes[10]]) == {}
    assert not nodes[3].looked_at


def test_what_carries_no_gradient_has_an_empty_tape():
    x = leaf([1.0])
    assert tape([x > 0.0]) == {}
    assert tape([x.detach() * 2.0]) == {}
    assert list(tape([x > 0.0, x])) == [x.index]


def test_every_edge_is_asked_later_consumers_first():
    x, w = leaf([[1.0, 2.0], [3.0, 4.0]]), leaf([[1.0, 0.5]])
    h = tg.concatenate([x[0:1] * w, x[[1, 1]], tg.linear(w, x)]).sum()
    order, asked = tape([h]), []

    def ask(consumer, slot, part):
        asked.append((consumer.index, slot))
        return part

    assert sweep(order, {h.index: np.ones(())}, [], at_edge=dict.fromkeys(order, ask)) == {}
    edges = [(node.index, slot) for node in reversed(order.values()) for slot in range(len(node.inputs))]
    assert asked == [(index, slot) for index, slot in edges if order[index].inputs[slot].requires_grad]


def test_nothing_comes_of_a_node_that_nothing_reaches():
    x, w = leaf([0.5, 1.5]), leaf([1.0, 2.0])
    h = x.tanh()
    y = h * w
    cut = {y.index: lambda consumer, slot, part: None if slot == 0 else part}
    found = sweep(tape([y]), {y.index: np.ones(2)}, [x.index, h.index, w.index], at_edge=cut)
    assert found.keys() == {w.index}


def test_cotangents_are_let_go_as_the_sweep_goes_on():
    h = leaf([0.5, 1.5])
    for _ in range(8):
        h = h.tanh()
    parts, alive = [], []

    def watch(consumer, slot, part):
        alive.append(sum(old() is not None for old in parts))
        parts.append(weakref.ref(part))
        return part

    order = tape([h])
    assert sweep(order, {h.index: np.ones(2)}, [], at_edge=dict.fromkeys(order, watch)) == {}
    assert max(alive) == 1


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


UNFIT = {(3, 1): [(5,), (2,), (4, 5), ()], (1, 3): [(5,), (4, 5), ()], (3,): [(5,), ()], (1, 1, 2): [(5,), (3, 2)]}


@pytest.mark.parametrize(("shape", "wrong"), [(shape, wrong) for shape in UNFIT for wrong in UNFIT[shape]])
def test_no_contribution_is_made_to_fit(shape, wrong, monkeypatch):
    monkeypatch.setattr(p.tanh, "rules", (lambda g, y, x: np.ones(wrong),))
    x = leaf(np.ones(shape), "x")
    with pytest.raises(RuntimeError, match=r"rule of tanh for slot 0 gave a contribution of shape"):
        tg.grad(x.tanh().sum(), x)


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


def test_what_is_joined_within_a_step_is_recorded_of_constants_too_so_that_the_first_step_is_like_every_other():
    h, x = tg.Tensor([1.0], name="h0"), tg.Tensor([2.0], name="x")
    with tg.step(0):
        joined = tg.concatenate([h, x])
        longer = tg.concatenate([joined, x])
        with tg.no_grad():
            unrecorded = tg.concatenate([h, x])
    assert joined.primitive is p.concatenate
    assert joined.inputs == (h, x)
    assert not joined.requires_grad
    for constant in (longer, unrecorded, tg.concatenate([h, x])):  # no chain of constants is kept
        assert constant.primitive is None
        assert constant.inputs == ()
