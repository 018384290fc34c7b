"""grad, vjp, jvp, jacobian and hvp: against finite differences, against one another, and at the edges of their use."""

import itertools

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.engine import derivatives, tensor

RNG = np.random.default_rng(7)
X, W = RNG.normal(size=3), RNG.normal(size=(4, 3)) * 0.7


def rnn(x, w):
    """Three steps of a recurrence whose weights are used in each, with a stack of its states."""
    h, states = x, []
    for t in range(3):
        with tg.step(t):
            h = (w[:3] @ h + x * w[3, t]).tanh()
            states.append(h)
    return tg.stack(states)


FUNCTIONS = {
    "linear": lambda x, w: w @ x,
    "tanh layer": lambda x, w: (w @ x).tanh(),
    "rnn": rnn,
    "softmax": lambda x, w: (w * x).softmax(axis=-1),
    "logsumexp": lambda x, w: (w + x).logsumexp(axis=1) * x.sum(),
    "einsum": lambda x, w: tg.einsum("ij,j,kj->ik", w, x, w),
    "gather with repeats": lambda x, w: x[[0, 2, 2, 1]] * w[[3, 3, 0, 1], [0, 0, 2, 1]],
    "slices, reshape and transpose": lambda x, w: (w.T.reshape(4, 3) * x)[1:, ::-1].exp(),
    "concatenate, stack and pad": lambda x, w: tg.pad(tg.concatenate([w, tg.stack([x, x * x])]), 1).square(),
    "maximum and where": lambda x, w: tg.maximum(w, x) * tg.where(w > 0.1, w, x * x),
    "division and powers": lambda x, w: (w**2 + 1.0) / (1.5 + x.sin()) ** 1.5,
    "a single number": lambda x, w: (w @ x).sigmoid().log().sum(),
}
CASES = pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)


def leaves():
    return tg.Tensor(X, requires_grad=True, name="x"), tg.Tensor(W, requires_grad=True, name="w")


def numeric_jacobian(f, array, step=1e-5):
    """d f(array) / d array by central differences, in NumPy alone."""
    columns = []
    for at in np.ndindex(array.shape):
        moved = np.zeros_like(array)
        moved[at] = step
        columns.append((f(array + moved) - f(array - moved)) / (2 * step))
    value = f(array)
    return np.stack(columns, axis=-1).reshape((*value.shape, *array.shape))


def close(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, float(np.max(np.abs(b), initial=0.0))))


# Right, and agreeing with one another --------------------------------------------------------------------------------


@CASES
def test_the_jacobian_is_that_of_finite_differences(f):
    x, w = leaves()
    y = f(x, w)
    by_x, by_w = tg.jacobian(y, x), tg.jacobian(y, w)
    assert by_x.shape == (*y.shape, 3)
    assert by_w.shape == (*y.shape, 4, 3)
    close(by_x, numeric_jacobian(lambda a: f(tg.Tensor(a), tg.Tensor(W)).data, X), 1e-8)
    close(by_w, numeric_jacobian(lambda a: f(tg.Tensor(X), tg.Tensor(a)).data, W), 1e-8)


@CASES
def test_vjp_and_jvp_are_rows_and_columns_of_the_jacobian(f):
    x, w = leaves()
    y = f(x, w)
    jacobian = tg.jacobian(y, w)
    u, v = RNG.normal(size=y.shape), RNG.normal(size=w.shape)
    close(tg.vjp(y, w, u), np.tensordot(u, jacobian, y.ndim))
    close(tg.jvp(y, w, v), np.tensordot(jacobian, v, 2))


@CASES
def test_a_move_of_several_tensors_moves_the_result_by_the_sum_of_what_each_does(f):
    x, w = leaves()
    y = f(x, w)
    vx, vw, u = RNG.normal(size=x.shape), RNG.normal(size=w.shape), RNG.normal(size=y.shape)
    together = tg.jvp(y, [x, w], [vx, vw])
    close(together, tg.jvp(y, x, vx) + tg.jvp(y, w, vw))
    gx, gw = tg.vjp(y, [x, w], u)
    close(np.vdot(u, together), np.vdot(gx, vx) + np.vdot(gw, vw))


@CASES
def test_leading_axes_give_the_stack_of_what_the_rows_give(f):
    x, w = leaves()
    y = f(x, w)
    us, vs = RNG.normal(size=(2, 3, *y.shape)), RNG.normal(size=(5, *w.shape))
    rows = tg.vjp(y, [x, w], us)
    assert [r.shape for r in rows] == [(2, 3, 3), (2, 3, 4, 3)]
    for at in itertools.product(range(2), range(3)):
        for row, alone in zip(rows, tg.vjp(y, [x, w], us[at]), strict=True):
            close(row[at], alone, 1e-14)
    columns = tg.jvp(y, w, vs)
    assert columns.shape == (5, *y.shape)
    for column, v in zip(columns, vs, strict=True):
        close(column, tg.jvp(y, w, v), 1e-14)


def test_several_directions_for_each_of_several_tensors():
    x, scale = tg.Tensor([0.5, -1.5, 2.5], requires_grad=True), tg.Tensor(0.75, requires_grad=True)
    y = (x * scale).tanh()
    vx, vs = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.25]]), np.array([2.0, -3.0])
    together = tg.jvp(y, [x, scale], [vx, vs])
    close(together, [tg.jvp(y, x, a) + tg.jvp(y, scale, b) for a, b in zip(vx, vs, strict=True)], 1e-14)


@CASES
def test_the_hessian_vector_product_is_the_difference_of_two_gradients(f):
    direction = RNG.normal(size=f(*leaves()).shape)
    v = RNG.normal(size=W.shape)

    def slope(values):
        w = tg.Tensor(values, requires_grad=True)
        return tg.grad((f(tg.Tensor(X), w) * direction).sum(), w)

    x, w = leaves()
    found = tg.hvp((f(x, w) * direction).sum(), w, v)
    assert found.shape == W.shape
    close(found, (slope(W + 1e-5 * v) - slope(W - 1e-5 * v)) / 2e-5, 1e-7)


@CASES
def test_the_hessian_is_symmetric_and_its_products_are_those_of_hvp(f):
    x, w = leaves()
    loss = f(x, w).sum()
    slope_x, slope_w = tg.grad(loss, [x, w], create_graph=True)
    flat = tg.concatenate([slope_x, slope_w.reshape(-1)])
    by_x, by_w = (tg.jacobian(flat, one).reshape(15, -1) for one in (x, w))
    hessian = np.concatenate([by_x, by_w], axis=1)
    close(hessian, hessian.T)
    vx, vw = RNG.normal(size=x.shape), RNG.normal(size=w.shape)
    both = tg.hvp(loss, [x, w], [vx, vw])
    close(np.concatenate([both[0], both[1].reshape(-1)]), hessian @ np.concatenate([vx, vw.reshape(-1)]))


@CASES
def test_backward_and_grad_agree_bit_for_bit_and_so_does_a_recorded_sweep(f):
    x, w = leaves()
    loss = f(x, w).sum()
    alone = tg.grad(loss, [x, w])
    recorded = tg.grad(loss, [x, w], create_graph=True)
    loss.backward()
    for one, g, r in zip((x, w), alone, recorded, strict=True):
        np.testing.assert_array_equal(one.grad, g)
        close(r.data, g, 1e-15)
        np.testing.assert_array_equal(tg.grad(loss, one), g)


def test_third_derivatives():
    x = tg.Tensor([0.3, -1.2], requires_grad=True)
    first = tg.grad((x**5).sum(), x, create_graph=True)
    second = tg.grad(first.sum(), x, create_graph=True)
    close(tg.grad(second.sum(), x), 60 * x.data**2)
    close(tg.jacobian(second, x), np.diag(60 * x.data**2))


# One sweep -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sweeps(monkeypatch):
    """The sweeps that are made, each as the number of nodes it visits."""
    made = []

    def counted(order, *args, **kwargs):
        made.append(len(order))
        return original(order, *args, **kwargs)

    original = derivatives.sweep
    monkeypatch.setattr(derivatives, "sweep", counted)
    monkeypatch.setattr(tensor, "sweep", counted)
    return made


def lstm_like(steps=12, hidden=4):
    rng = np.random.default_rng(0)
    w = tg.Tensor(rng.normal(size=(2 * hidden, hidden)) * 0.5, requires_grad=True, name="w")
    xs = rng.normal(size=(steps, hidden))

    def run(start):
        h, states = start, [start]
        for t, x in tg.steps(xs):
            z, n = (w[:hidden] @ h).sigmoid(), (w[hidden:] @ h + x).tanh()
            h = ((1.0 - z) * n + z * h).named(f"h{t}")
            states.append(h)
        return states

    return w, run, tg.Tensor(rng.normal(size=hidden), requires_grad=True, name="h0")


def test_the_jacobian_of_the_last_state_by_the_first_is_one_sweep_and_that_of_finite_differences(sweeps):
    _, run, h0 = lstm_like()
    h = run(h0)
    found = tg.jacobian(h[-1], h[0])
    assert len(sweeps) == 1
    close(found, numeric_jacobian(lambda a: run(tg.Tensor(a))[-1].data, h0.data), 1e-9)


def test_the_jacobian_between_two_states_on_the_way_visits_only_what_is_between(sweeps):
    _, run, h0 = lstm_like()
    h = run(h0)
    whole, part = tg.jacobian(h[12], h[0]), tg.jacobian(h[7], h[4])
    assert sweeps[1] < sweeps[0] / 3
    product = np.eye(4)
    for t in range(12, 0, -1):
        product = product @ tg.jacobian(h[t], h[t - 1])
    close(whole, product)
    close(part, tg.jacobian(h[7], h[6]) @ tg.jacobian(h[6], h[5]) @ tg.jacobian(h[5], h[4]))


@pytest.mark.parametrize(
    ("ask", "number"),
    [
        (lambda y, w: tg.grad(y.sum(), [w]), 1),
        (lambda y, w: tg.vjp(y, w, np.ones((7, *y.shape))), 1),
        (lambda y, w: y.sum().backward(), 1),
        (lambda y, w: tg.jvp(y, w, np.ones((9, *w.shape))), 2),
        (lambda y, w: tg.hvp(y.sum(), w, np.ones(w.shape)), 2),
    ],
    ids=["grad", "vjp of seven", "backward", "jvp of nine", "hvp"],
)
def test_each_derivative_is_one_sweep_or_two(sweeps, ask, number):
    w, run, h0 = lstm_like()
    y = tg.stack(run(h0)[1:])
    ask(y, w)
    assert len(sweeps) == number
