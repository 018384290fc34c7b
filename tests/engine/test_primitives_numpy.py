"""Law 2: NumPy's functions and operators on Tensors are recorded like the methods, and never drop a gradient."""

import operator

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine.checks import close, equal
from tinygrad_rnn.engine.numpy_protocol import SPELLINGS, name_of

ARRAY = np.array([[0.3, 1.4, 0.6], [1.7, 0.2, 1.1]])
OTHER = np.array([[0.8, 0.5, 1.9], [0.4, 1.2, 0.7]])

# How each spelling is called, and the method or function of tg that it must equal.
CALLS = {
    **{
        getattr(np, name): (lambda f, x: f(x), getattr(tg, name))
        for name in ["negative", "exp", "expm1", "log", "log1p", "sqrt", "square", "abs", "sign", "sin", "cos", "tanh"]
    },
    **{
        getattr(np, name): (lambda f, x: f(x, OTHER), getattr(tg, name))
        for name in ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"]
    },
    np.greater: (lambda f, x: f(x, OTHER), operator.gt),
    np.greater_equal: (lambda f, x: f(x, OTHER), operator.ge),
    np.less: (lambda f, x: f(x, OTHER), operator.lt),
    np.less_equal: (lambda f, x: f(x, OTHER), operator.le),
    np.equal: (lambda f, x: f(x, OTHER), operator.eq),
    np.not_equal: (lambda f, x: f(x, OTHER), operator.ne),
    np.clip: (lambda f, x: f(x, 0.4, 1.5), tg.Tensor.clip),
    **{
        getattr(np, name): (lambda f, x: f(x, axis=1, keepdims=True), getattr(tg.Tensor, name))
        for name in ["sum", "mean", "var", "std", "max", "min"]
    },
    np.amax: (lambda f, x: f(x, axis=0), tg.max),
    np.amin: (lambda f, x: f(x, axis=0), tg.min),
    np.cumsum: (lambda f, x: f(x, axis=0), tg.cumsum),
    np.reshape: (lambda f, x: f(x, (3, 2)), tg.reshape),
    np.transpose: (lambda f, x: f(x, (1, 0)), tg.transpose),
    np.swapaxes: (lambda f, x: f(x, 0, 1), tg.swapaxes),
    np.moveaxis: (lambda f, x: f(x, 0, -1), tg.moveaxis),
    np.expand_dims: (lambda f, x: f(x, 1), tg.expand_dims),
    np.squeeze: (lambda f, x: f(x[:1], 0), tg.squeeze),
    np.broadcast_to: (lambda f, x: f(x, (2, 2, 3)), tg.broadcast_to),
    np.matmul: (lambda f, x: f(OTHER.T, x), tg.matmul),
    np.dot: (lambda f, x: f(OTHER.T, x), tg.dot),
    np.outer: (lambda f, x: f(OTHER, x), tg.outer),
    np.einsum: (lambda f, x: f("ij,kj->ik", OTHER, x), tg.einsum),
    np.where: (lambda f, x: f(OTHER > 0.75, x, OTHER), tg.where),
    np.concatenate: (lambda f, x: f([OTHER, x], axis=1), tg.concatenate),
    np.hstack: (lambda f, x: f([OTHER, x]), tg.hstack),
    np.vstack: (lambda f, x: f([OTHER, x[0]]), tg.vstack),
    np.flip: (lambda f, x: f(x, 0), tg.flip),
    np.stack: (lambda f, x: f([OTHER, x], axis=1), tg.stack),
    np.split: (lambda f, x: f(x, [1], axis=1)[1], tg.split),
    np.pad: (lambda f, x: f(x, ((1, 0), (0, 2))), tg.pad),
}
SIZES = (np.shape, np.ndim, np.size)


def leaf():
    return tg.Tensor(ARRAY, requires_grad=True)


def test_every_spelling_is_tested():
    assert CALLS.keys() | SIZES == SPELLINGS.keys()


@pytest.mark.parametrize("spelling", CALLS, ids=name_of)
def test_a_numpy_function_on_a_tensor_is_the_method_and_keeps_the_gradient(spelling):
    call, method = CALLS[spelling]
    x, same = leaf(), leaf()
    y, expected = call(spelling, x), call(method, same)
    assert isinstance(y, tg.Tensor)
    assert y.primitive.name == expected.primitive.name
    equal(y.data, expected.data)
    close(y.data, call(spelling, ARRAY), 1e-15)  # and NumPy's own numbers
    assert y.requires_grad == expected.requires_grad
    if y.requires_grad:
        equal(tg.vjp(y, x, np.ones(y.shape)), tg.vjp(expected, same, np.ones(y.shape)))


@pytest.mark.parametrize("spelling", SIZES, ids=name_of)
def test_sizes_are_plain_numbers(spelling):
    assert spelling(leaf()) == spelling(ARRAY)
    assert not isinstance(spelling(leaf()), tg.Tensor)


METHODS = {
    **dict.fromkeys(["negative", "exp", "expm1", "log", "log1p", "sqrt", "square", "abs", "sign", "sin", "cos"], ()),
    **dict.fromkeys(["tanh", "sigmoid", "relu", "softplus", "sum", "mean", "var", "std", "max", "min", "flip"], ()),
    **dict.fromkeys(["logsumexp", "softmax", "log_softmax", "cumsum", "transpose"], ()),
    **dict.fromkeys(["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"], (OTHER,)),
    "matmul": (OTHER.T,),
    "dot": (OTHER.T,),
    "outer": (OTHER,),
    "clip": (0.4, 1.5),
    "astype": (np.float32,),
    "reshape": (3, 2),
    "swapaxes": (0, 1),
    "moveaxis": (0, 1),
    "expand_dims": (0,),
    "squeeze": (),
    "broadcast_to": ((1, 2, 3),),
    "pad": (1,),
    "split": (2,),
}
FUNCTIONS_ONLY = {"concatenate", "einsum", "embedding", "hstack", "linear", "stack", "vstack", "where"}


def test_every_function_is_also_a_method_but_for_those_of_several_tensors():
    from tinygrad_rnn.engine import functions

    assert METHODS.keys() | FUNCTIONS_ONLY == {*functions.__all__}


@pytest.mark.parametrize("name", METHODS)
def test_a_function_is_the_method(name):
    assert getattr(tg, name) is getattr(tg.Tensor, name)
    by_function, by_method = getattr(tg, name)(ARRAY, *METHODS[name]), getattr(leaf(), name)(*METHODS[name])
    for a, b in zip(by_function, by_method, strict=True) if name == "split" else [(by_function, by_method)]:
        equal(a.data, b.data)


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
COMPARISONS = [operator.gt, operator.ge, operator.lt, operator.le, operator.eq, operator.ne]


@pytest.mark.parametrize("other", [2, 2.5, np.float64(2.5), np.float32(0.5), np.int64(2), OTHER, OTHER[0]], ids=repr)
@pytest.mark.parametrize("operate", OPERATORS, ids=lambda f: f.__name__)
def test_operators_with_numbers_and_arrays_on_either_side_keep_the_gradient(operate, other):
    x = leaf()
    for y, expected in [(operate(x, other), operate(ARRAY, other)), (operate(other, x), operate(other, ARRAY))]:
        assert isinstance(y, tg.Tensor)
        close(y.data, expected, 1e-15)
        assert tg.grad(y.sum(), x).any()
    tg.gradcheck(lambda x: operate(other, x) * operate(x, other), ARRAY)


@pytest.mark.parametrize("compare", COMPARISONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("other", [0.6, np.float64(0.6), OTHER, ARRAY], ids=["float", "float64", "array", "same"])
def test_comparisons_are_elementwise_on_either_side_and_carry_no_gradient(compare, other):
    x = leaf()
    for y, expected in [(compare(x, other), compare(ARRAY, other)), (compare(other, x), compare(other, ARRAY))]:
        assert isinstance(y, tg.Tensor)
        equal(y.data, expected)
        assert not y.requires_grad


def test_a_matrix_array_times_a_tensor_keeps_the_gradient():
    x = leaf()
    equal(tg.grad((OTHER.T @ x).sum(), x), np.tile(OTHER.T.sum(0)[:, None], 3))
    equal(tg.grad((x @ OTHER.T).sum(), x), np.tile(OTHER.sum(0), (2, 1)))
    y = np.concatenate([OTHER, x])
    assert isinstance(y, tg.Tensor)
    equal(tg.grad(y.sum(), x), np.ones((2, 3)))
    equal(tg.grad((np.ones(3) + x).sum(), x), np.ones((2, 3)))


UNKNOWN = {
    "np.fft.fft": lambda t: np.fft.fft(t),
    "np.linalg.inv": lambda t: np.linalg.inv(t),
    "np.linalg.norm": lambda t: np.linalg.norm(t),
    "np.add.reduce": lambda t: np.add.reduce(t),
    "np.multiply.outer": lambda t: np.multiply.outer(t, t),
    "np.add.accumulate": lambda t: np.add.accumulate(t),
    "np.subtract.at": lambda t: np.subtract.at(np.zeros(2), [0], t),
    "np.median": lambda t: np.median(t),
    "np.tan": lambda t: np.tan(t),
    "np.floor": lambda t: np.floor(t),
    "np.isnan": lambda t: np.isnan(t),
    "np.argmax": lambda t: np.argmax(t),
    "np.dstack": lambda t: np.dstack([t, t]),
    "np.zeros_like": lambda t: np.zeros_like(t),
    "np.copyto": lambda t: np.copyto(np.zeros((2, 3)), t),
    "np.put_along_axis": lambda t: np.put_along_axis(np.zeros((2, 3)), np.zeros((1, 3), int), t, 0),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_numpy_function_raises_a_type_error_that_names_it_and_what_to_do(name):
    what_to_do = (
        r"(known\. For np\..* write .+\.|known\. Those that do: .*tanh.* t\.data\.|no gradient\. .*t\.data\)\.)"
    )
    with pytest.raises(TypeError, match=rf"^{name} does not work on a Tensor: .*{what_to_do}$"):
        UNKNOWN[name](leaf())


def test_those_that_work_are_listed_where_nothing_else_is_known():
    with pytest.raises(TypeError, match=r"np\.fft\.fft does not .*Those that do: .*\bcos, .*\bmatmul, .*\bsin, "):
        np.fft.fft(leaf())


def in_place(array, t):
    array += t


WRITING = {
    "array += t": lambda t: in_place(np.zeros((2, 3)), t),
    "np.tanh(out)": lambda t: np.tanh(t, out=np.zeros((2, 3))),
    "np.add(out)": lambda t: np.add(t, 1.0, out=np.zeros((2, 3))),
    "np.matmul(out)": lambda t: np.matmul(OTHER.T, t, out=np.zeros((3, 3))),
}


@pytest.mark.parametrize("case", WRITING)
def test_writing_a_tensor_into_an_array_raises_a_type_error_that_says_what_to_write(case):
    with pytest.raises(TypeError, match=r"cannot write a Tensor into an array.*array = array \+ tensor"):
        WRITING[case](leaf())


DROPPING = {
    "np.sum(out)": lambda t: np.sum(t, out=np.zeros(())),
    "np.sum(where)": lambda t: np.sum(t, where=[True, False, True]),
    "np.exp(where)": lambda t: np.exp(t, where=[True, False, True]),
    "np.exp(dtype)": lambda t: np.exp(t, dtype=np.float32),
    "np.max(initial)": lambda t: np.max(t, initial=3.0),
    "np.concatenate(out)": lambda t: np.concatenate([t, t], out=np.zeros((4, 3))),
    "np.array": lambda t: np.array(t),
    "np.asarray": lambda t: np.asarray(t),
    "np.array of a list": lambda t: np.array([t, t]),
    "array[...] = t": lambda t: np.zeros((2, 3)).__setitem__(..., t),
    "float": lambda t: float(t.sum()),
    "int": lambda t: int(t.sum()),
    "array.dot": lambda t: OTHER.T.dot(t),
    "tg.Tensor": lambda t: tg.Tensor(t),
}


@pytest.mark.parametrize("case", DROPPING)
def test_what_would_drop_a_gradient_raises_a_type_error_instead(case):
    with pytest.raises(TypeError):
        DROPPING[case](leaf())


def test_without_a_gradient_to_lose_a_tensor_becomes_an_array_of_its_own():
    t = tg.Tensor(ARRAY)
    array = np.asarray(t)
    array[:] = 0.0
    equal(t.data, ARRAY)
    assert float(tg.Tensor(2.5)) == 2.5


# where selects and never multiplies -----------------------------------------------------------------------------------


def test_the_branch_not_taken_may_be_infinite():
    x = tg.Tensor([0.0, 4.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        y = np.where(x > 1.0, 1.0 / x, 5.0)
        equal(y.data, [5.0, 0.25])
        found = tg.vjp(1.0 / x, x, np.ones(2))
    assert found[0] == -np.inf
    inf = tg.Tensor([np.inf, 1.0], requires_grad=True)
    a = tg.Tensor([2.0, 3.0], requires_grad=True)
    equal(tg.grad(tg.where([False, True], inf, a).sum(), inf), [0.0, 1.0])
    equal(tg.grad(tg.where([False, True], inf, a).sum(), a), [1.0, 0.0])


@pytest.mark.parametrize(
    "select",
    [
        lambda x, m: tg.where(m, x, 0.0),
        lambda x, m: tg.maximum(x, 0.0),
        lambda x, m: tg.relu(x),
        lambda x, m: tg.clip(x, 0.0, 1e9),
        lambda x, m: x.max(),
        lambda x, m: tg.minimum(-x, 0.0),
        lambda x, m: x[m],
    ],
)
def test_an_infinite_cotangent_gives_0_and_not_nan_where_nothing_was_selected(select):
    """What comes back to an element that was not selected is 0, whatever the cotangent."""
    x = tg.Tensor([-1.0, 2.0], requires_grad=True)
    y = select(x, np.array([False, True]))
    found = tg.vjp(y, x, np.full(y.shape, np.inf))
    assert found[0] == 0.0
    assert np.isinf(found[1])
