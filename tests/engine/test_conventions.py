"""What the engine answers where the mathematics leaves a choice: ties, kinks, edges, the ends of the number line."""

import warnings

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine.checks import close, equal

INF, NAN = np.inf, np.nan


def value_and_gradients(f, *points, dtype=np.float64):
    """f's value, and the gradient of its sum by each input."""
    xs = [tg.Tensor(point, requires_grad=True, dtype=dtype) for point in points]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, at the poles
        y = f(*xs)
        return y.data, tg.grad(y.sum(), xs)


# At each point: the value, and the derivative by each input. Where PyTorch has a convention, it is this one.
CONVENTIONS = {
    "abs at 0": (tg.abs, [[0.0, -0.0]], [0.0, 0.0], [[0.0, 0.0]]),
    "relu at 0": (tg.relu, [[0.0, -0.0]], [0.0, 0.0], [[0.0, 0.0]]),
    "clip at both edges": (lambda x: tg.clip(x, -1.0, 1.0), [[-1.0, 1.0]], [-1.0, 1.0], [[1.0, 1.0]]),
    "clip beyond them": (lambda x: tg.clip(x, -1.0, 1.0), [[-1.5, 1.5]], [-1.0, 1.0], [[0.0, 0.0]]),
    "clip with the bounds crossed": (lambda x: tg.clip(x, 1.0, 0.0), [[0.0, 0.5, 1.0]], [0.0] * 3, [[0.0] * 3]),
    "maximum at a tie": (tg.maximum, [[2.0, -1.0], [2.0, -1.0]], [2.0, -1.0], [[0.5, 0.5], [0.5, 0.5]]),
    "minimum at a tie": (tg.minimum, [[2.0, -1.0], [2.0, -1.0]], [2.0, -1.0], [[0.5, 0.5], [0.5, 0.5]]),
    "maximum of 0 and -0": (tg.maximum, [[0.0], [-0.0]], [0.0], [[0.5], [0.5]]),
    "maximum of infinities": (tg.maximum, [[INF, -INF], [INF, INF]], [INF, INF], [[0.5, 0.0], [0.5, 1.0]]),
    "max at a tie of two": (tg.max, [[1.0, 3.0, 3.0]], 3.0, [[0.0, 0.5, 0.5]]),
    "max at a tie of three": (tg.max, [[3.0, 3.0, 3.0]], 3.0, [[1 / 3, 1 / 3, 1 / 3]]),
    "min at a tie of two": (tg.min, [[1.0, 1.0, 3.0]], 1.0, [[0.5, 0.5, 0.0]]),
    "max by rows": (lambda x: x.max(axis=1), [[[1.0, 1.0], [0.0, 2.0]]], [1.0, 2.0], [[[0.5, 0.5], [0.0, 1.0]]]),
    "max of -inf only": (tg.max, [[-INF, -INF]], -INF, [[0.5, 0.5]]),
    "0 ** 0": (tg.power, [[0.0], [0.0]], [1.0], [[0.0], [0.0]]),
    "0 ** 1": (tg.power, [[0.0], [1.0]], [0.0], [[1.0], [0.0]]),
    "0 ** 2": (tg.power, [[0.0], [2.0]], [0.0], [[0.0], [0.0]]),
    "0 ** 0.5": (tg.power, [[0.0], [0.5]], [0.0], [[INF], [0.0]]),
    "3 ** 0": (tg.power, [[3.0], [0.0]], [1.0], [[0.0], [np.log(3.0)]]),
    "a negative base": (lambda a: a**3, [[-2.0]], [-8.0], [[12.0]]),
    "a negative base, by the exponent": (tg.power, [[-2.0], [3.0]], [-8.0], [[12.0], [NAN]]),
    "sqrt at 0": (tg.sqrt, [[0.0]], [0.0], [[INF]]),
    "log at 0": (tg.log, [[0.0]], [-INF], [[INF]]),
    "log1p at -1": (tg.log1p, [[-1.0]], [-INF], [[INF]]),
    "1 / 0": (lambda x: 1.0 / x, [[0.0]], [INF], [[-INF]]),
    "softplus far out": (tg.softplus, [[-INF, -1e3, 1e3, INF]], [0.0, 0.0, 1e3, INF], [[0.0, 0.0, 1.0, 1.0]]),
    "sigmoid far out": (tg.sigmoid, [[-INF, -1e3, 1e3, INF]], [0.0, 0.0, 1.0, 1.0], [[0.0] * 4]),
    "tanh far out": (tg.tanh, [[-INF, -1e3, 1e3, INF]], [-1.0, -1.0, 1.0, 1.0], [[0.0] * 4]),
    "logsumexp far out": (tg.logsumexp, [[1e3, 1e3, -1e3]], 1e3 + np.log(2), [[0.5, 0.5, 0.0]]),
    "logsumexp with -inf": (tg.logsumexp, [[-INF, 1.0]], 1.0, [[0.0, 1.0]]),
    "logsumexp of -inf only": (tg.logsumexp, [[-INF, -INF]], -INF, [[NAN, NAN]]),
    "softmax with a mask": (lambda x: tg.softmax(x)[1:2], [[-INF, 1.0, 1.0]], [0.5], [[0.0, 0.25, -0.25]]),
    "log_softmax with a mask": (lambda x: tg.log_softmax(x)[1:2], [[-INF, 1.0, 1.0]], [-np.log(2)], [[0.0, 0.5, -0.5]]),
    "log_softmax far out": (lambda x: tg.log_softmax(x)[:1], [[-1e3, 1e3]], [-2e3], [[1.0, -1.0]]),
    "max gives a NaN everything": (tg.max, [[1.0, NAN, 5.0]], NAN, [[0.0, 1.0, 0.0]]),
    "maximum gives a NaN everything": (tg.maximum, [[NAN, 1.0], [1.0, NAN]], [NAN, NAN], [[1.0, 0.0], [0.0, 1.0]]),
    "minimum gives a NaN everything": (tg.minimum, [[NAN, 1.0], [1.0, NAN]], [NAN, NAN], [[1.0, 0.0], [0.0, 1.0]]),
    "relu lets a NaN pass": (tg.relu, [[NAN]], [NAN], [[1.0]]),
    "clip lets a NaN pass": (lambda x: tg.clip(x, 0.0, 1.0), [[NAN]], [NAN], [[1.0]]),
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_convention(name):
    f, points, value, gradients = CONVENTIONS[name]
    found, found_gradients = value_and_gradients(f, *points)
    np.testing.assert_allclose(found, value, rtol=1e-13, atol=1e-300)
    for got, expected in zip(found_gradients, gradients, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-300)


DOCUMENTED = {
    tg.abs: "its derivative at 0 is taken to be 0",
    tg.relu: "its derivative at 0 is taken to be 0",
    tg.maximum: "where they tie, each gets half",
    tg.minimum: "where they tie, each gets half",
    tg.max: "elements that tie share the gradient equally",
    tg.min: "elements that tie share the gradient equally",
    tg.clip: "the gradient still passes",
    tg.sqrt: "its derivative at 0 is infinite",
    tg.sign: "no gradient flows",
    tg.power: "At b = 0 the derivative by a is 0, also at a = 0; at a = 0 the derivative by b is 0",
}


@pytest.mark.parametrize("f", DOCUMENTED, ids=lambda f: f.__name__)
def test_the_convention_is_documented(f):
    assert DOCUMENTED[f] in " ".join(f.__doc__.split())


@pytest.mark.parametrize("extreme", [tg.maximum, tg.minimum])
def test_of_two_equal_operands_the_derivative_is_1(extreme):
    equal(value_and_gradients(lambda x: extreme(x, x), [3.0, -1.0, 0.0])[1], [[1.0, 1.0, 1.0]])


@pytest.mark.parametrize("extreme", [tg.max, tg.min])
@pytest.mark.parametrize("count", range(1, 8))
def test_of_one_number_many_times_the_derivative_is_1(extreme, count):
    y, (by_x,) = value_and_gradients(lambda x: extreme(tg.stack([x] * count)), 3.0)
    close(y, 3.0, 0)
    close(by_x, 1.0, 3e-16)


@pytest.mark.parametrize("extreme", [tg.max, tg.min])
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2), -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_the_weights_at_a_tie_are_equal_and_sum_to_1(extreme, axis, keepdims):
    x = np.random.default_rng(0).integers(0, 3, (3, 4, 2)).astype(float)
    y, (by_x,) = value_and_gradients(lambda x: extreme(x, axis=axis, keepdims=keepdims), x)
    whole = extreme(x, axis=axis, keepdims=True).data
    close(by_x.sum(axis=axis, keepdims=keepdims), np.ones(y.shape), 1e-15)
    assert np.all((by_x > 0) == (x == whole))
    ties = (x == whole).sum(axis=axis, keepdims=True)
    close(by_x, (x == whole) / ties, 1e-15)


def test_a_tie_after_broadcasting_is_halved_element_by_element():
    row, number = value_and_gradients(tg.maximum, [[1.0, 2.0, 3.0]], 2.0)[1]
    equal(row, [[0.0, 0.5, 1.0]])
    equal(number, 1.5)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_a_python_number_ties_like_a_tensor(name):
    equal(value_and_gradients(lambda x: getattr(tg, name)(x, 2.0), [2.0])[1], [[0.5]])
    equal(value_and_gradients(lambda x: getattr(tg, name)(2.0, x), [2.0])[1], [[0.5]])


SECOND_ORDER = {
    "abs": (tg.abs, [0.0], [[0.0]]),
    "relu": (tg.relu, [0.0], [[0.0]]),
    "clip": (lambda x: tg.clip(x, -1.0, 1.0), [1.0], [[0.0]]),
    "max of squares": (lambda x: tg.max(x * x), [1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]]),
    "maximum of squares": (lambda x: tg.maximum(x * x, 1.0), [1.0], [[1.0]]),
    "x ** 2 at 0": (lambda x: x**2, [0.0], [[2.0]]),
    "x ** 1 at 0": (lambda x: x**1, [0.0], [[0.0]]),
    "x ** 0 at 0": (lambda x: x**0, [0.0], [[0.0]]),
    "x ** 3 at 0": (lambda x: x**3, [0.0], [[0.0]]),
    "0 ** 0": (lambda ab: ab[0] ** ab[1], [0.0, 0.0], [[0.0, 0.0], [0.0, 0.0]]),
    "3 ** 0": (lambda ab: ab[0] ** ab[1], [3.0, 0.0], [[0.0, 1 / 3], [1 / 3, np.log(3) ** 2]]),
    "where": (lambda x: tg.where(x > 0, x * x, x), [0.0, 1.0], [[0.0, 0.0], [0.0, 2.0]]),
}


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_second_derivative_at_a_special_point(name):
    f, point, hessian = SECOND_ORDER[name]
    x = tg.Tensor(point, requires_grad=True)
    slope = tg.grad(f(x).sum(), x, create_graph=True)
    found = tg.jacobian(slope, x) if slope.requires_grad else np.zeros((x.size, x.size))
    close(found, np.array(hessian), 1e-15)


# Accuracy where the plain formula would lose it ----------------------------------------------------------------------


@pytest.mark.parametrize("x", [-700.0, -300.0, -40.0, -37.0, -20.0, -1e-9, 0.0, 1e-9, 20.0, 36.0, 40.0, 300.0, 700.0])
def test_squashing_functions_are_accurate_far_out(x):
    y, (slope,) = value_and_gradients(tg.sigmoid, [x])
    close(y / (1 / (1 + np.exp(-x))), [1.0], 4e-16)
    expected = np.exp(-abs(x)) / (1 + np.exp(-abs(x))) ** 2
    if x < 0:
        close(slope / expected, [1.0], 4e-16)  # s (1 - s) has full relative accuracy on the left
    else:
        close(slope, [expected], 2e-16)  # and absolute accuracy on the right: from 37 on it rounds to 0
    y, (slope,) = value_and_gradients(tg.softplus, [x])
    close(y / np.logaddexp(0.0, x), [1.0], 4e-16)
    close(slope / (1 / (1 + np.exp(-x))), [1.0], 4e-16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_sigmoid_underflows_where_the_smallest_numbers_end_and_not_before(dtype):
    """exp(x), to the last bit that subnormal numbers have: a gate that is shut is not called a little open."""
    smallest = np.finfo(dtype).smallest_subnormal
    x = np.log(smallest) * np.array([2.0, 1.02, 0.99, 0.97, 0.9, 0.85], dtype)
    y = tg.sigmoid(x).data
    assert y.dtype == dtype
    assert y.astype(bool).tolist() == [False, False, True, True, True, True]
    for found, exponent in zip(y, x, strict=True):
        assert abs(float(found) - np.exp(float(exponent))) <= float(smallest) + 2e-7 * np.exp(float(exponent))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("f", [tg.sigmoid, tg.softplus, tg.tanh, tg.logsumexp, tg.softmax, tg.log_softmax])
def test_no_overflow_and_no_warning_for_any_size_of_number(f, dtype):
    largest = float(np.finfo(dtype).max) / 4
    for x in ([-largest, 0.0, largest], [-1e3, 1e3, 12.0], [-1e3, -1e3, -1e3], [largest, largest, -largest]):
        leaf = tg.Tensor(x, requires_grad=True, dtype=dtype)
        y = f(leaf)  # a warning would be an error here
        assert np.all(np.isfinite(y.data))
        assert y.dtype == dtype
        assert np.all(np.isfinite(tg.vjp(y, leaf, np.ones(y.shape))))


def test_logsumexp_of_nothing_possible_is_minus_infinity_without_a_warning():
    assert tg.logsumexp([-INF, -INF]).item() == -INF
    equal(tg.logsumexp([[-INF, -INF], [1.0, -INF]], axis=1).data, [-INF, 1.0])


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint8, np.float16, np.float32])
def test_squashing_functions_of_other_numbers_have_the_same_values(dtype):
    x = np.array([0, 1, 3], dtype)
    for f in (tg.sigmoid, tg.softplus, tg.tanh, tg.relu):
        y = f(tg.Tensor(x))
        assert y.dtype.kind == "f" or f is tg.relu
        close(y.data, f(x.astype(float)).data, 1e-3 if x.dtype.itemsize < 4 else 1e-6)
    assert tg.sigmoid(np.array([1, 0])).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.uint8, np.uint64, np.int64])
def test_the_exponent_less_1_does_not_wrap_around(dtype):
    x = tg.Tensor([1000.0, 2.0, 3.0], requires_grad=True)
    close(tg.grad((x ** np.arange(3, dtype=dtype)).sum(), x), [0.0, 1.0, 6.0], 1e-15)


def test_expm1_and_log1p_are_accurate_near_0():
    for f in (tg.expm1, tg.log1p):
        y, (slope,) = value_and_gradients(f, [1e-18, -1e-18])
        close(y / np.array([1e-18, -1e-18]), [1.0, 1.0], 1e-15)
        close(slope, [1.0, 1.0], 1e-15)


def test_saturation_rounds_the_derivative_to_0_where_the_value_rounds_to_1():
    """1 - tanh^2 is 0 from |z| = 19 on, s (1 - s) from 37 on: the reports call that saturated, not vanished."""
    assert value_and_gradients(tg.tanh, [18.0, 20.0])[1][0].astype(bool).tolist() == [True, False]
    assert value_and_gradients(tg.sigmoid, [36.0, 38.0])[1][0].astype(bool).tolist() == [True, False]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.bool_])
@pytest.mark.parametrize("f", [tg.softmax, tg.log_softmax])
def test_a_softmax_of_whole_numbers_is_that_of_the_same_floats(f, dtype):
    x = np.array([0, 1, 100, 3]).astype(dtype)
    assert f(x).dtype == np.float64
    close(f(x).data, f(x.astype(float)).data, 1e-15)


def test_a_power_of_0_has_the_derivative_0_by_its_exponent_also_where_it_is_infinite():
    a, b = tg.Tensor([0.0, 0.0], True), tg.Tensor([-1.0, 2.0], True)
    with np.errstate(divide="ignore"):
        y = a**b
    equal(tg.vjp(y, b, np.ones(2)), [0.0, 0.0])
