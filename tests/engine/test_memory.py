"""What a tape holds is gone the moment it is dropped: there are no reference cycles for a collector to find.

All of it runs with the garbage collector switched off, so that whatever a cycle held would stay and be seen.
"""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.engine.annotate import HERE


@pytest.fixture(autouse=True)
def collector_off():
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    yield
    gc.collect()
    if enabled:
        gc.enable()


def recurrent_loss(w, u, b, xs):
    h = tg.Tensor(np.zeros(b.shape))
    states = []
    with tg.scope("rnn"):
        for _, x in tg.steps(xs):
            h = (x @ u + h @ w + b).tanh().named("h")
            states.append(h)
    return (tg.stack(states) ** 2).mean()


def problem(size=4, steps=6):
    rng = np.random.default_rng(0)
    w = tg.Tensor(rng.normal(size=(size, size)), requires_grad=True, name="w")
    u = tg.Tensor(rng.normal(size=(3, size)), requires_grad=True, name="u")
    b = tg.Tensor(rng.normal(size=size), requires_grad=True, name="b")
    return w, u, b, rng.normal(size=(steps, 3))


def train_once(parameters, xs):
    loss = recurrent_loss(*parameters, xs)
    loss.backward()
    with tg.no_grad():
        for p in parameters:
            p.data = p.data - 0.01 * p.grad
            p.grad = None
    return loss.item()


def cyclic_objects():
    """What only the collector could free. (It finds it, and keeps it for us to see.)"""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return [type(o).__name__ for o in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.collect()  # now freed, so that they are not found again


def test_the_search_for_cyclic_objects_finds_one():
    t = tg.Tensor([1.0])
    t.params = {"itself": t}
    del t
    assert "Tensor" in cyclic_objects()


def caught(error, function, *args, **kwargs):
    """Call what must fail, and forget the error. (pytest.raises would hold it in a cycle.)"""
    try:
        function(*args, **kwargs)
    except error:
        return
    pytest.fail(f"no {error.__name__}")


def _decorated():
    @tg.no_grad()
    def plain(x):
        return x * 2

    @tg.scope("s")
    def generator(x):
        yield x * 2
        yield x * 3

    return plain, generator


PLAIN, GENERATOR = _decorated()


def _generator_that_is_closed(w, u, b, xs):
    g = GENERATOR(w)
    next(g)
    g.close()


def _generator_that_is_thrown_into(w, u, b, xs):
    g = GENERATOR(w)
    next(g)
    caught(KeyError, g.throw, KeyError)


def _loop_that_is_broken_off(w, u, b, xs):
    for t, _ in tg.steps(tg.Tensor(xs)):
        if t == 2:
            break


def _loops_that_are_interleaved(w, u, b, xs):
    caught(RuntimeError, lambda: list(zip(tg.steps(xs), tg.steps(xs), strict=True)))


def _failing_forward(w, u, b, xs):
    caught(ValueError, lambda: recurrent_loss(w, u, b, xs[:, :2]))


def _stale_backward(w, u, b, xs):
    loss = recurrent_loss(w, u, b, xs)
    b.data = b.data
    caught(RuntimeError, loss.backward)


def _second_order(w, u, b, xs):
    slope = tg.grad(recurrent_loss(w, u, b, xs), w, create_graph=True)
    (slope**2).sum().backward()


USES = {
    "forward": recurrent_loss,
    "backward": lambda w, u, b, xs: recurrent_loss(w, u, b, xs).backward(),
    "backward keeping all": lambda w, u, b, xs: recurrent_loss(w, u, b, xs).backward(keep="all"),
    "grad": lambda w, u, b, xs: tg.grad(recurrent_loss(w, u, b, xs), [w, u, b]),
    "a training step": lambda *a: train_once(a[:3], a[3]),
    "gradient of a gradient": _second_order,
    "jacobian": lambda w, u, b, xs: tg.jacobian((w * w).sum(axis=0), w),
    "jvp": lambda w, u, b, xs: tg.jvp(recurrent_loss(w, u, b, xs), w, np.ones(w.shape)),
    "hvp": lambda w, u, b, xs: tg.hvp(recurrent_loss(w, u, b, xs), w, np.ones(w.shape)),
    "gradcheck": lambda w, u, b, xs: tg.gradcheck(lambda b: (b * b).sum(), b),
    "NumPy functions": lambda w, u, b, xs: np.concatenate([np.tanh(w), np.ones((1, 4)) + w]).sum(),
    "indexing": lambda w, u, b, xs: (w[0] + w[[0, 1]] + w[w.data > 100].sum() + next(iter(w))).sum(),
    "no_grad as a decorator": lambda w, u, b, xs: PLAIN(w),
    "a decorated generator": lambda w, u, b, xs: list(GENERATOR(w)),
    "a decorated generator that is closed": _generator_that_is_closed,
    "a decorated generator that is thrown into": _generator_that_is_thrown_into,
    "a loop that is broken off": _loop_that_is_broken_off,
    "loops that are interleaved": _loops_that_are_interleaved,
    "an error in forward": _failing_forward,
    "an error in backward": _stale_backward,
    "printing": lambda w, u, b, xs: repr(recurrent_loss(w, u, b, xs)),
    "data that are handed out": lambda w, u, b, xs: [(w * 2).data, w.data, w.detach().data, w.T.data],
    "an unsupported function": lambda w, u, b, xs: caught(TypeError, np.fft.fft, w),
    "no path": lambda w, u, b, xs: caught(RuntimeError, tg.grad, (u * u).sum(), w),
}


@pytest.mark.parametrize("use", USES)
def test_no_use_leaves_a_reference_cycle(use):
    w, u, b, xs = problem()
    USES[use](w, u, b, xs)  # once before, for what Python and NumPy set up on the first call
    cyclic_objects()
    USES[use](w, u, b, xs)
    assert cyclic_objects() == []
    assert HERE.get() == tg.Place()


def test_the_whole_tape_dies_with_the_loss():
    w, u, b, xs = problem()
    loss = recurrent_loss(w, u, b, xs)
    loss.backward(keep="all")
    nodes, to_visit = {}, [loss]
    while to_visit:
        node = to_visit.pop()
        if node.index not in nodes and node.primitive is not None:
            nodes[node.index] = weakref.ref(node), weakref.ref(node.value)
            to_visit += node.inputs
    assert len(nodes) > 20
    del loss, node, to_visit
    assert [t() for t, _ in nodes.values()] == [None] * len(nodes)
    assert [a() for _, a in nodes.values()] == [None] * len(nodes)
    assert w.grad is not None


@pytest.mark.parametrize(
    "hold",
    [
        lambda loss, w: loss.data,
        lambda loss, w: loss.detach(),
        lambda loss, w: loss.item(),
        lambda loss, w: tg.grad(loss, w),
        lambda loss, w: (loss.backward(), w.grad),
        lambda loss, w: tg.jacobian(loss, w),
        lambda loss, w: tg.jvp(loss, w, np.ones(w.shape)),
        lambda loss, w: tg.hvp(loss, w, np.ones(w.shape)),
        lambda loss, w: (loss.shape, loss.place, loss.primitive, loss.params, loss.index, loss.name),
    ],
    ids=["data", "detach", "item", "grad", "backward", "jacobian", "jvp", "hvp", "description"],
)
def test_what_is_handed_out_does_not_hold_the_tape(hold):
    w, u, b, xs = problem()
    loss = recurrent_loss(w, u, b, xs)
    held = hold(loss, w)
    node = weakref.ref(loss.inputs[0])
    assert node() is not None
    del loss
    assert node() is None
    assert held is not None


def test_a_detached_state_lets_go_of_the_steps_before():
    w, u, b, xs = problem()
    h = tg.Tensor(np.zeros(4))
    for x in xs:
        before = weakref.ref(h)
        h = (x @ u + h @ w + b).tanh().detach()
        assert before() is None


def test_nothing_made_inside_no_grad_holds_its_inputs():
    w, *_ = problem()
    with tg.no_grad():
        y = w * 2
        gone = weakref.ref(y)
        z = y.tanh()
        del y
        assert gone() is None
        assert z.inputs == ()


def test_the_backward_sweep_needs_a_few_arrays_not_one_for_each_node():
    x = tg.Tensor(np.full(100_000, 0.5), requires_grad=True)
    h = x
    for _ in range(50):
        h = h.tanh()
    loss = h.sum()
    tracemalloc.start()
    try:
        loss.backward()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * x.data.nbytes


def test_the_gradient_of_many_slices_is_written_into_one_array():
    x = tg.Tensor(np.full((1000, 100), 0.5), requires_grad=True)
    loss = tg.stack([x[t].sum() for t in range(1000)]).sum()
    tracemalloc.start()
    try:
        loss.backward()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * x.data.nbytes  # a thousand arrays of its size would be a thousand times that


def growth_per_step(steps):
    """MB by which the memory in use grows for each training step, after a few to warm up; and cyclic objects."""
    w, u, b, xs = problem(size=16, steps=20)
    tracemalloc.start()
    try:
        for _ in range(20):  # CPython keeps freed tuples for later use, up to a limit
            train_once((w, u, b), xs)
        cyclic_objects()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(steps):
            train_once((w, u, b), xs)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / steps / 1e6, cyclic_objects()


def test_memory_does_not_grow_over_training_steps():
    growth, cyclic = growth_per_step(30)
    assert growth < 0.01
    assert cyclic == []


@pytest.mark.full
def test_memory_does_not_grow_over_a_thousand_training_steps(capsys):
    growth, cyclic = growth_per_step(1000)
    with capsys.disabled():
        print(f"\nrow 7: {growth:.6f} MB growth a step over 1,000 training steps, {len(cyclic)} cyclic objects")
    assert growth < 0.01
    assert cyclic == []
