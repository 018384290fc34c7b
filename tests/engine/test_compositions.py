"""Functions that are composed of primitives agree with NumPy, and with derivatives that use no rule of ours."""

import functools

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine.checks import close, equal
from tests.engine.samples import generator, spread

CUBE, OTHER, ROW = spread(generator("compositions"), -2.1, 2.1, (2, 3, 4), (2, 3, 4), (4,))
AXES = [None, 0, -1, (0, 2), (1, -1), (), (0, 1, 2)]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(
    ("name", "axis"),
    [(name, axis) for name in ("mean", "var", "std") for axis in AXES if (name, axis) != ("std", ())],
)
def test_means_and_their_spread(name, axis, keepdims):
    ours, numpys = (functools.partial(getattr(m, name), axis=axis, keepdims=keepdims) for m in (tg, np))
    close(ours(CUBE).data, numpys(CUBE), 1e-15)
    assert tg.gradcheck(lambda x: ours(x) * 1.5, CUBE, order=2)


@pytest.mark.parametrize("ddof", [0, 1, 2, 3])
def test_degrees_of_freedom_are_those_of_numpy(ddof):
    close(tg.var(CUBE, axis=-1, ddof=ddof).data, np.var(CUBE, axis=-1, ddof=ddof), 1e-15)
    close(np.std(tg.Tensor(CUBE), ddof=ddof).data, np.std(CUBE, ddof=ddof), 1e-15)
    assert tg.gradcheck(lambda x: x.var(axis=1, ddof=ddof if ddof < 3 else 0), CUBE, order=2)


def test_more_degrees_of_freedom_than_elements_leave_nothing_as_in_numpy():
    with pytest.warns(RuntimeWarning):
        expected = np.var(CUBE, axis=0, ddof=3)
    with np.errstate(divide="ignore"):
        equal(tg.var(CUBE, axis=0, ddof=3).data, expected)
    with pytest.raises(TypeError, match="ddof is a whole number"):
        tg.var(CUBE, ddof=0.5)


def test_equal_elements_have_no_spread_and_its_root_no_derivative_there():
    x = tg.Tensor([0.5, 0.5, 0.5], requires_grad=True)
    equal(x.std().data, 0.0)
    equal(tg.grad(x.var(), x), np.zeros(3))
    with np.errstate(divide="ignore", invalid="ignore"):
        assert np.isnan(tg.grad(x.std(), x)).all()


def test_single_precision_stays():
    x = tg.Tensor(CUBE.astype(np.float32), requires_grad=True)
    for y in (x.mean(), x.var(axis=0), x.std(), x.flip(), tg.hstack([x, x]), tg.vstack([x, x])):
        assert y.dtype == np.float32
        assert tg.grad(y.sum(), x).dtype == np.float32


@pytest.mark.parametrize("axis", AXES)
def test_flip(axis):
    equal(tg.flip(CUBE, axis).data, np.flip(CUBE, axis))
    assert tg.gradcheck(lambda x: x.flip(axis) * OTHER, CUBE, order=2)
    equal(tg.flip(3.5).data, np.flip(3.5))


def test_flip_of_a_stack_of_states_along_time():
    states = [tg.Tensor(row, requires_grad=True) for row in CUBE[0]]
    turned = tg.stack(states).flip(0)
    equal(turned.data, CUBE[0, ::-1])
    equal(tg.grad(turned[0].sum(), states[2]), np.ones(4))


@pytest.mark.parametrize("join", ["hstack", "vstack"])
@pytest.mark.parametrize("xs", [(CUBE, OTHER), (CUBE[0], OTHER[1]), (ROW, ROW[1:]), (ROW[0], ROW[1]), (ROW, CUBE[0])])
def test_joining_side_by_side_and_one_below_the_other(join, xs):
    ours, numpys = getattr(tg, join), getattr(np, join)
    try:
        expected = numpys(xs)
    except ValueError:
        with pytest.raises(ValueError, match=r"concatenate cannot be computed .*same shape"):
            ours(xs)
        return
    equal(ours(xs).data, expected)
    weights = np.linspace(0.5, 1.5, expected.size).reshape(expected.shape)
    assert tg.gradcheck(lambda a, b: ours([a, b]) * weights, *map(np.asarray, xs), order=2)
    assert tg.gradcheck(lambda a: numpys([a, xs[1]]) * weights, np.asarray(xs[0]), order=2)


EINSUMS = {
    "ii": [(3, 3)],
    "ii->i": [(3, 3)],
    "iij->j": [(2, 2, 3)],
    "jii->ij": [(3, 2, 2)],
    "iji": [(2, 3, 2)],
    "iii->i": [(2, 2, 2)],
    "ijij->ij": [(2, 3, 2, 3)],
    "...ii->...i": [(2, 3, 3)],
    "ii,ij->j": [(2, 2), (2, 3)],
    "ii,jj": [(2, 2), (3, 3)],
    "dcba": [(1, 2, 3, 2)],
    "zb,ba": [(2, 3), (3, 2)],
    "...ji": [(2, 3, 2)],
    "b...,ba...": [(2, 3), (2, 2, 3)],
    "bh,gh->bg": [(2, 3), (4, 3)],
}


@pytest.mark.parametrize("subscripts", EINSUMS)
def test_einsum_with_repeated_letters_dots_and_without_an_arrow(subscripts):
    xs = spread(generator(subscripts), -2.1, 2.1, *EINSUMS[subscripts])
    expected = np.einsum(subscripts, *xs)
    close(tg.einsum(subscripts, *xs).data, expected, 1e-15)
    weights = np.linspace(0.5, 1.5, expected.size).reshape(expected.shape)
    assert tg.gradcheck(lambda *ts: tg.einsum(subscripts, *ts) * weights, *xs, order=2)
