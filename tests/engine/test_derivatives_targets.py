"""What derivatives are asked of: several tensors, tensors on the way, no path, linear losses, dtypes; and backward."""

import itertools

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine.test_derivatives import W, X, close, leaves, rnn


def test_one_target_gives_one_gradient_a_sequence_gives_a_list():
    x, w = leaves()
    loss = (w @ x).sum()
    assert isinstance(tg.grad(loss, x), np.ndarray)
    for wanted in ([x, w], (x, w), iter([x, w])):
        found = tg.grad(loss, wanted)
        assert isinstance(found, list)
        assert [g.shape for g in found] == [(3,), (4, 3)]
    assert tg.grad(loss, []) == []


def test_targets_may_be_in_any_order_and_named_twice():
    x, w = leaves()
    loss = (w @ x).tanh().sum()
    a, b, c = tg.grad(loss, [w, x, w])
    np.testing.assert_array_equal(a, c)
    np.testing.assert_array_equal(b, tg.grad(loss, x))
    assert not np.shares_memory(a, c)


def test_targets_may_be_on_the_way_and_before_one_another():
    x, w = leaves()
    a = w @ x
    b = a.tanh()
    loss = (b * b).sum()
    gx, ga, gb, gl = tg.grad(loss, [x, a, b, loss])
    close(gb, 2 * b.data)
    close(ga, gb * (1 - b.data**2))
    close(gx, W.T @ ga)
    assert gl == 1.0
    close(tg.jacobian(b, a), np.diag(1 - b.data**2))
    close(tg.jvp(loss, a, np.ones(4)), ga.sum())
    close(tg.hvp(loss, b, np.ones(4)), np.full(4, 2.0))


def test_a_target_may_be_the_result_itself():
    x, _ = leaves()
    y = x * 2.0
    np.testing.assert_array_equal(tg.jacobian(y, y), np.eye(3))
    np.testing.assert_array_equal(tg.jvp(y, y, X), X)
    np.testing.assert_array_equal(tg.vjp(x, x, X), X)
    loss = x.sum()
    assert tg.grad(loss, loss).shape == ()


def test_what_has_no_path_raises_or_is_none_if_that_is_asked_for():
    x, w = leaves()
    loss = (x * x).sum()
    with pytest.raises(RuntimeError, match="no path leads from «w»"):
        tg.grad(loss, [x, w])
    gx, gw = tg.grad(loss, [x, w], allow_unused=True)
    close(gx, 2 * X)
    assert gw is None
    assert tg.grad(loss, w, allow_unused=True) is None
    assert tg.grad(loss, [tg.Tensor(X)], allow_unused=True) == [None]
    assert tg.grad(loss, [x.detach(), x * 1.0], allow_unused=True) == [None, None]


@pytest.mark.parametrize(
    "cut",
    [
        lambda x: x.detach(),
        lambda x: x.data,
        lambda x: x > 0,
        lambda x: x.sign(),
        lambda x: x.astype(int),
        lambda x: tg.no_grad()(lambda: x * 1.0)(),
    ],
    ids=["detach", "data", "comparison", "sign", "astype(int)", "no_grad"],
)
def test_a_path_that_is_cut_is_no_path_and_the_rest_is_right(cut):
    x, w = leaves()
    loss = (cut(x) * w).sum()
    assert tg.grad(loss, x, allow_unused=True) is None
    both = (cut(x) * x).sum()
    np.testing.assert_array_equal(tg.grad(both, x), np.asarray(cut(x)))


def test_a_gradient_of_zero_is_not_a_missing_path():
    x, _ = leaves()
    np.testing.assert_array_equal(tg.grad((x * 0.0).sum(), x), np.zeros(3))
    np.testing.assert_array_equal(tg.grad(x.clip(100.0, 200.0).sum(), x), np.zeros(3))


# Linear losses -------------------------------------------------------------------------------------------------------


def test_the_second_derivative_of_what_is_linear_is_zero():
    x, w = leaves()
    np.testing.assert_array_equal(tg.hvp(x.sum(), x, X), np.zeros(3))
    np.testing.assert_array_equal(tg.hvp((w @ x).sum(), x, X), np.zeros(3))
    moved = tg.hvp((w @ x).sum(), [x, w], [np.zeros(3), W])
    close(moved[0], W.sum(axis=0))
    np.testing.assert_array_equal(moved[1], np.zeros((4, 3)))


def test_the_gradient_of_what_is_linear_is_a_constant_and_says_so():
    x, _ = leaves()
    slope = tg.grad((x * 3.0).sum(), x, create_graph=True)
    assert not slope.requires_grad
    with pytest.raises(RuntimeError, match="does not depend on any tensor"):
        tg.grad(slope.sum(), x)


def test_the_jacobian_of_what_is_linear_is_its_matrix():
    x, _ = leaves()
    np.testing.assert_array_equal(tg.jacobian(tg.Tensor(W) @ x, x), W)
    np.testing.assert_array_equal(tg.jvp(tg.Tensor(W) @ x, x, np.eye(3)), W.T)


# What is handed out, dtypes, edges -----------------------------------------------------------------------------------


def test_every_array_that_is_handed_out_is_fresh_writable_and_shared_with_nothing():
    x, w = leaves()
    y = (x + w).reshape(-1)
    loss = y.sum()
    loss.backward(keep="all")
    arrays = [*tg.grad(loss, [x, w, y, loss]), *tg.vjp(y, [x, w], np.ones(12)), tg.jacobian(loss, x)]
    arrays += [tg.jvp(y, x, X), tg.hvp((y * y).sum(), w, W), x.grad, w.grad, y.grad, loss.grad]
    for a in arrays:
        assert type(a) is np.ndarray
        assert a.flags.writeable
    for a, b in itertools.combinations([*arrays, x.data, w.data, y.data], 2):
        assert not np.shares_memory(a, b)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_derivatives_have_the_dtype_of_their_tensor(dtype):
    x = tg.Tensor(X.astype(dtype), requires_grad=True)
    other = tg.Tensor(W, requires_grad=True)
    loss = ((x * x).tanh() * other).sum()
    assert tg.grad(loss, x).dtype == dtype
    assert tg.grad(loss, other).dtype == np.float64
    assert tg.grad(loss, x, create_graph=True).dtype == dtype
    assert tg.jacobian(x * x, x).dtype == dtype
    assert tg.jvp(x * x, x, X).dtype == dtype
    assert tg.hvp(loss, x, X).dtype == dtype


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_loss_is_anything_with_one_element(shape):
    x, _ = leaves()
    close(tg.grad((x * x).sum().reshape(shape), x), 2 * X)


def test_derivatives_of_nothing_are_empty():
    x = tg.Tensor(np.zeros((0, 2)), requires_grad=True)
    assert tg.grad((x * x).sum(), x).shape == (0, 2)
    assert tg.jacobian(x * x, x).shape == (0, 2, 0, 2)
    assert tg.jvp(x * x, x, np.zeros((0, 2))).shape == (0, 2)
    assert tg.hvp((x * x).sum(), x, np.zeros((0, 2))).shape == (0, 2)
    assert tg.vjp(x * x, x, np.zeros((5, 0, 2))).shape == (5, 0, 2)


def test_all_derivatives_may_be_asked_for_inside_no_grad():
    x, w = leaves()
    y = rnn(x, w)
    loss = y.sum()
    outside = [tg.jacobian(y, x), tg.jvp(y, x, X), tg.hvp(loss, w, W)]
    with tg.no_grad():
        inside = [tg.jacobian(y, x), tg.jvp(y, x, X), tg.hvp(loss, w, W)]
    for a, b in zip(outside, inside, strict=True):
        np.testing.assert_array_equal(a, b)


def test_asking_does_not_change_the_tape():
    x, w = leaves()
    y = rnn(x, w)
    first = tg.jacobian(y, w)
    tg.hvp(y.sum(), x, X)
    tg.jvp(y, w, W)
    y.sum().backward(keep="all")
    np.testing.assert_array_equal(tg.jacobian(y, w), first)


# backward ------------------------------------------------------------------------------------------------------------


def test_backward_twice_adds_and_none_starts_again():
    x, _ = leaves()
    loss = (x**3).sum()
    loss.backward()
    loss.backward()
    close(x.grad, 6 * X**2)
    x.grad = None
    loss.backward()
    close(x.grad, 3 * X**2)


def test_backward_adds_to_a_gradient_that_was_set_and_does_not_write_into_it():
    x, _ = leaves()
    mine = np.ones(3)
    x.grad = mine
    held = x.grad
    x.sum().backward()
    close(x.grad, np.full(3, 2.0))
    close(mine, np.ones(3))
    close(held, np.ones(3))


def test_backward_keeps_the_gradients_of_leaves_of_named_tensors_or_of_all():
    x, w = leaves()
    a = w @ x
    b = a.tanh().named("b")
    loss = (b * b).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="no gradient is kept"):
        _ = b.grad
    loss.backward(keep="named")
    close(b.grad, 2 * b.data)
    with pytest.raises(RuntimeError, match="no gradient is kept"):
        _ = a.grad
    loss.backward(keep="all")
    close(a.grad, 2 * b.data * (1 - b.data**2))
    assert loss.grad == 1.0


def test_backward_from_a_seed_is_a_vector_jacobian_product():
    x, w = leaves()
    y = rnn(x, w)
    u = np.random.default_rng(0).normal(size=y.shape)
    y.backward(u)
    np.testing.assert_array_equal(w.grad, tg.vjp(y, w, u))


def test_leaves_that_require_no_gradient_get_none():
    x, w = tg.Tensor(X), tg.Tensor(W, requires_grad=True)
    (w @ x).sum().backward()
    assert x.grad is None
    assert w.grad is not None
