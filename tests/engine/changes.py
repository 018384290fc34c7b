"""Cases in which an array that the tape relies on is changed between forward and backward.

A case is how to run forward, and how to change afterwards what the user still holds: an operation, a kind of operand,
a way to write. CASES has them all by name.
"""

import tempfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinygrad_rnn as tg

X = np.array([[0.6, 1.2, 0.9], [1.5, 0.3, 0.8]])
C = np.array([[1.3, 0.7, 1.1], [0.4, 2.0, 0.5]])


@dataclass
class Run:
    """One forward pass: what it made, and what the user still holds."""

    x: tg.Tensor
    loss: tg.Tensor
    held: dict[str, Any] = field(default_factory=dict)


def leaf(values=X):
    return tg.Tensor(values, requires_grad=True, name="x")


# Operations of a tracked leaf x and a constant c, both (2, 3) -------------------------------------------------------

WITH_CONSTANT = {
    "add": lambda x, c: ((x + c) ** 2).sum(),
    "subtract": lambda x, c: ((c - x) ** 2).sum(),
    "multiply": lambda x, c: (x * c).sum(),
    "multiply from the left": lambda x, c: (np.multiply(c, x)).sum(),
    "divide by": lambda x, c: (x / c).sum(),
    "divide": lambda x, c: (c / x).sum(),
    "power": lambda x, c: (x**c).sum(),
    "base of a power": lambda x, c: tg.power(c, x).sum(),
    "matmul": lambda x, c: tg.matmul(x.T, c).sum(),
    "matmul from the left": lambda x, c: tg.matmul(c, x.T).sum(),
    "linear": lambda x, c: (tg.linear(x, c) ** 2).sum(),
    "linear input": lambda x, c: (tg.linear(c, x) ** 2).sum(),
    "dot": lambda x, c: tg.dot(c, x.T).sum(),
    "outer": lambda x, c: (tg.outer(c, x) ** 2).sum(),
    "einsum": lambda x, c: tg.einsum("ij,kj->ik", x, c).sum(),
    "maximum": lambda x, c: (tg.maximum(x, c) ** 2).sum(),
    "minimum": lambda x, c: (tg.minimum(c, x) ** 2).sum(),
    "where": lambda x, c: (tg.where(x > 0.7, x, c) * x).sum(),
    "comparison": lambda x, c: tg.where(x < c, x * x, 0.0).sum(),
    "concatenate": lambda x, c: (tg.concatenate([x, c]) * tg.concatenate([c, x])).sum(),
    "stack": lambda x, c: (tg.stack([c, x]).tanh().sum(axis=0) ** 2).sum(),
    "tanh of a product": lambda x, c: (x * c).tanh().sum(),
    "softmax": lambda x, c: ((x * c).softmax() * c).sum(),
    "logsumexp": lambda x, c: (x * c).logsumexp(axis=1).sum(),
    "np.tanh and np.add": lambda x, c: np.sum(np.tanh(np.add(c, x)) * x),
}


# How a constant is handed over: what the operation gets, what the user keeps, and how she changes it afterwards ------


def array(run):
    c = C.copy()
    return c, c


def view_taken_before(run):
    base = np.zeros((4, 6))
    base[1:3, 2:5] = C
    return base[1:3, 2:5], base


def base_of_a_view(run):
    c = C.copy()
    return c, c[:, ::-1]


def transposed_view(run):
    base = C.T.copy()
    return base.T, base


def reversed_view(run):
    base = C[::-1].copy()
    return base[::-1], base


def mapped(shape, dtype):
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=dtype, mode="w+", shape=shape)


def memmap(run):
    c = mapped(C.shape, float)
    c[...] = C
    return c, c


def buffer(run):
    memory = bytearray(C.tobytes())
    return np.frombuffer(memory).reshape(C.shape), np.frombuffer(memory)


def nested_list(run):
    c = C.tolist()
    return c, c


def list_of_arrays(run):
    rows = [row.copy() for row in C]
    return rows, rows[0]


def tensor_of_an_array(run):
    c = C.copy()
    return tg.Tensor(c), c


def tensor_given_new_data(run):
    c = C.copy()
    t = tg.Tensor(np.zeros_like(C))
    t.data = c
    return t, c


def float32_array(run):
    c = C.astype(np.float32)
    return c, c


HANDED_OVER = [
    array,
    view_taken_before,
    base_of_a_view,
    transposed_view,
    reversed_view,
    memmap,
    buffer,
    nested_list,
    list_of_arrays,
    tensor_of_an_array,
    tensor_given_new_data,
    float32_array,
]


def by_assignment(a):
    if isinstance(a, list):
        for row in a:
            row[:] = [7.0 * v for v in row]
    else:
        a[...] = a * 7.0


def by_copyto(a):
    np.copyto(a, a * 7.0)


def by_out(a):
    np.multiply(a, 7.0, out=a)


def by_in_place_operator(a):
    a *= 7.0


def by_sorting(a):
    a += np.arange(a.size, 0.0, -1.0).reshape(a.shape).astype(a.dtype)
    a.sort()


ARRAY_CHANGES = [by_assignment, by_copyto, by_out, by_in_place_operator, by_sorting]


def constant_case(operation, handed_over, change):
    def build():
        run = Run(leaf(), None)
        given, kept = handed_over(run)
        run.loss = WITH_CONSTANT[operation](run.x, given)
        run.held["kept"] = kept
        return run

    return build, lambda run: change(run.held["kept"])


# Through what the library itself hands out --------------------------------------------------------------------------

WRITES = {
    "item": lambda d: d.__setitem__((0, 0), 7.0),
    "all items": lambda d: d.__setitem__(..., 7.0),
    "setflags": lambda d: (d.setflags(write=True), d.__setitem__(..., 7.0)),
    "flags": lambda d: (setattr(d.flags, "writeable", True), d.__setitem__(..., 7.0)),
    "base": lambda d: d.base.__setitem__(..., 7.0),
    "setflags of the base": lambda d: (d.base.setflags(write=True), d.base.__setitem__(..., 7.0)),
    "np.copyto": lambda d: np.copyto(d, 7.0),
    "out=": lambda d: np.add(d, 1.0, out=d),
    "np.matmul out=": lambda d: np.matmul(d, np.eye(3) * 2, out=d),
    "cumsum out=": lambda d: d.cumsum(axis=0, out=d),
    "np.clip out=": lambda d: np.clip(d, 0.0, 0.5, out=d),
    "operator": lambda d: d.__imul__(7.0),
    "np.add.at": lambda d: np.add.at(d, 0, 1.0),
    "put": lambda d: d.put([0, 1], 7.0),
    "np.place": lambda d: np.place(d, d > 0, [7.0]),
    "np.putmask": lambda d: np.putmask(d, d > 0, 7.0),
    "fill": lambda d: d.fill(7.0),
    "sort": lambda d: d[::-1].sort(axis=0),
    "partition": lambda d: d[::-1].partition(1, axis=0),
    "shuffle": lambda d: np.random.default_rng(0).shuffle(d, axis=1),
    "flat": lambda d: d.flat.__setitem__(slice(None), 7.0),
    "reshaped": lambda d: d.reshape(-1).__setitem__(..., 7.0),
    "transposed": lambda d: d.T.__setitem__(..., 7.0),
    "real": lambda d: setattr(d, "real", 7.0),
    "byteswap": lambda d: d.byteswap(inplace=True),
    "buffer": lambda d: memoryview(d).__setitem__((0, 0), 7.0),
    "ndarray.data": lambda d: d.data.__setitem__((0, 0), 7.0),
    "as_strided": lambda d: np.lib.stride_tricks.as_strided(d, writeable=True).__setitem__(..., 7.0),
    "sliding window": lambda d: np.lib.stride_tricks.sliding_window_view(d, (1, 1), writeable=True).__setitem__(
        ..., 7.0
    ),
    "nditer": lambda d: [v.__setitem__(..., 7.0) for v in np.nditer(d, op_flags=["readwrite"])],
    "np.from_dlpack": lambda d: np.from_dlpack(d).__setitem__(..., 7.0),
    "asarray": lambda d: np.asarray(d).__setitem__(..., 7.0),
    "view": lambda d: d.view(np.int64).__setitem__(..., 7),
    "fill_diagonal": lambda d: np.fill_diagonal(d, 7.0),
    "setfield": lambda d: d.setfield(7.0, d.dtype),
}


def tensors_of_a_run():
    """Every tensor of a forward pass whose values the tape relies on, views of others among them."""
    x = leaf()
    made = {"leaf": x, "constant": tg.Tensor(C, name="c")}
    made["computed"] = x * made["constant"]
    made["slice"] = made["computed"][:, :]
    made["reshaped"] = made["slice"].reshape(3, 2)
    made["transposed"] = made["reshaped"].T
    made["same, renamed"] = made["transposed"].named("a").named("b")
    made["diagonal of einsum"] = tg.einsum("ij->ij", made["same, renamed"])
    made["detached"] = x.detach()
    made["broadcast"] = tg.broadcast_to(x[:1], (2, 3))
    total = (made["diagonal of einsum"] ** 2).sum() + (made["computed"] * made["detached"]).tanh().sum()
    total = total + (made["broadcast"] * x * made["constant"]).sum() + (made["transposed"].reshape(2, 3) * x * x).sum()
    return Run(x, total, made)


def handed_out_case(tensor, write, before):
    """Writing through `.data` of a tensor, handed out before the write was thought of, or for the write."""

    def build():
        run = tensors_of_a_run()
        if before:
            run.held["data"] = run.held[tensor].data
        return run

    def change(run):
        d = run.held["data"] if before else run.held[tensor].data
        WRITES[write](d if d.ndim == 2 else d.reshape(2, 3))

    return build, change


# Replaced data, and other changes of mind ---------------------------------------------------------------------------


def replaced_case(operation, what):
    def build():
        x, c = leaf(), tg.Tensor(C, name="c")
        return Run(x, WITH_CONSTANT[operation](x, c), {"c": c, "x": x})

    def change(run):
        run.held[what].data = run.held[what].data * 7.0

    return build, change


# What an operation is told besides its operands ---------------------------------------------------------------------


def changed_argument(make, change_value):
    """make() -> (an argument that can be changed, the loss of x with it)."""

    def build():
        run = Run(leaf(), None)
        run.held["argument"], run.loss = make(run.x)
        return run

    return build, lambda run: change_value(run.held["argument"])


def told(argument, use):
    def make(x):
        given = argument()
        return given, (use(x, given) ** 2).sum()

    return make


def set_all(value):
    def change(argument):
        argument[...] = value

    return change


def set_first(value):
    def change(argument):
        argument[0] = value

    return change


WEIGHTS = np.array([[0.5, 2.0, 1.5], [3.0, 0.1, 0.7]])
ARGUMENTS = {
    "gather by an array": (
        told(lambda: np.array([0, 1, 0]), lambda x, i: x[i] * np.arange(1.0, 4.0)[:, None]),
        set_all(1),
    ),
    "gather by a list": (told(lambda: [0, 1, 0], lambda x, i: x[i] * np.arange(1.0, 4.0)[:, None]), set_first(1)),
    "gather by a pair of arrays": (
        told(lambda: np.array([0, 1]), lambda x, i: x[i, i] * np.array([1.0, 2.0])),
        set_all(0),
    ),
    "gather behind a slice": (told(lambda: np.array([0, 2]), lambda x, i: x[:, i] * WEIGHTS[:, :2]), set_all(1)),
    "gather by an int8 array": (
        told(lambda: np.array([0, 1], np.int8), lambda x, i: x[i] * WEIGHTS),
        set_all(1),
    ),
    "gather by a memmap": (
        told(
            lambda: mapped(2, int),
            lambda x, i: x[i] * WEIGHTS,
        ),
        set_all(1),
    ),
    "mask": (told(lambda: X > 0.7, lambda x, m: x[m] * np.arange(1.0, 5.0)), set_all(False)),
    "mask of rows": (told(lambda: np.array([True, False]), lambda x, m: x[m] * WEIGHTS[:1]), set_all(True)),
    "list of booleans": (told(lambda: [True, False], lambda x, m: x[m] * WEIGHTS[:1]), set_first(False)),
    "mask of where": (told(lambda: X > 0.7, lambda x, m: tg.where(m, x * x, x)), set_all(False)),
    "embedding ids": (
        told(lambda: np.array([[0, 1], [1, 1]]), lambda x, i: tg.embedding(x, i) * WEIGHTS[0]),
        set_all(0),
    ),
    "embedding ids in a list": (told(lambda: [0, 1, 1], lambda x, i: tg.embedding(x, i) * WEIGHTS[:1]), set_first(1)),
    "embedding id, 0-d": (told(lambda: np.array(1), lambda x, i: tg.embedding(x, i)), set_all(0)),
    "pad widths": (told(lambda: np.array([[1, 0], [0, 2]]), lambda x, w: tg.pad(x, w) + 1.0), set_all(0)),
    "pad widths in lists": (told(lambda: [[1, 0], [0, 2]], lambda x, w: tg.pad(x, w) + 1.0), set_first([0, 0])),
    "pad value": (told(lambda: np.array(3.0), lambda x, v: tg.pad(x, 1, constant_values=v)), set_all(0.0)),
    "split indices": (told(lambda: [1], lambda x, i: tg.split(x, i, axis=1)[1] * WEIGHTS[:, 1:]), set_first(2)),
    "split indices in an array": (
        told(lambda: np.array([1]), lambda x, i: tg.split(x, i, axis=1)[1] * WEIGHTS[:, 1:]),
        set_all(2),
    ),
    "shape": (told(lambda: [3, 2], lambda x, s: x.reshape(s) * WEIGHTS.T), set_first(6)),
    "shape in an array": (told(lambda: np.array([3, 2]), lambda x, s: x.reshape(s) * WEIGHTS.T), set_all(1)),
    "order of axes": (told(lambda: [1, 0], lambda x, a: x.transpose(a) * WEIGHTS.T), set_first(0)),
    "shape to broadcast to": (told(lambda: [2, 2, 3], lambda x, s: x.broadcast_to(s) * WEIGHTS), set_first(4)),
    "axes to sum over": (told(lambda: [0], lambda x, a: x.sum(axis=tuple(a)) * 2.0), set_first(1)),
    "bound of clip": (told(lambda: np.array(0.7), lambda x, b: x.clip(b, 1.3) * WEIGHTS), set_all(0.0)),
    "bounds of a slice": (told(lambda: np.array(1), lambda x, i: x[:, int(i) :] * WEIGHTS[:, 1:]), set_all(2)),
    "an index, 0-d": (told(lambda: np.array(1), lambda x, i: x[i] * WEIGHTS), set_all(0)),
    "list of tensors to stack": (
        lambda x: (lambda xs: (xs, (tg.stack(xs) ** 2).sum()))([x, x * 2.0]),
        lambda xs: xs.__setitem__(1, xs[0]),
    ),
    "list of tensors to concatenate": (
        lambda x: (lambda xs: (xs, (tg.concatenate(xs) ** 2).sum()))([x, x * 2.0]),
        lambda xs: xs.clear(),
    ),
    "list of tensors to add": (
        lambda x: (lambda xs: (xs, (sum(xs) ** 2).sum()))([x, x * 2.0]),
        lambda xs: xs.reverse(),
    ),
}


def _gradients_that_are_handed_out(x):
    loss = (x**3).sum()
    return [tg.grad(loss, x), tg.vjp(x * x, x, X), tg.jacobian(loss, x), tg.jvp(loss, x, X), tg.hvp(loss, x, X)], loss


def _grad_of_a_leaf(x):
    loss = (x**3).sum()
    loss.backward()
    return [x.grad], loss


def _seed(x):
    v = C.copy()
    return [v], (tg.vjp(x * x, x, v, create_graph=True) ** 2).sum()


def _gradient_on_the_tape(x):
    slope = tg.grad((x**3).sum(), x, create_graph=True)
    return [slope.data], (slope * x).sum()


def _index_of_the_tape(x):
    rows = x[[0, 1, 1]]
    return [rows.params["index"][0]], (rows * np.arange(1.0, 4.0)[:, None]).sum()


def _copy(x):
    d = np.array(x.detach())
    return [d], (x * d * x).sum()


def _fill_all(arrays):
    for a in arrays:
        a[...] = 0


ARGUMENTS |= {
    "gradients that are handed out": (_gradients_that_are_handed_out, _fill_all),
    "x.grad": (_grad_of_a_leaf, _fill_all),
    "seed of a product with create_graph": (_seed, _fill_all),
    "data of a gradient on the tape": (_gradient_on_the_tape, _fill_all),
    "np.array of a constant tensor": (_copy, _fill_all),
    "the index that an operation keeps": (_index_of_the_tape, _fill_all),
}


def _turn_on_requires_grad(run):
    run.held["c"].requires_grad = True


def turned_on_case(operation):
    def build():
        x, c = leaf(), tg.Tensor(C, name="c")
        return Run(x, WITH_CONSTANT[operation](x, c) + (x * (c * 2.0)).sum(), {"c": c})

    return build, _turn_on_requires_grad


CASES = {}
for _operation in WITH_CONSTANT:
    for _handed_over in HANDED_OVER:
        CASES[f"{_operation}, {_handed_over.__name__}, by_assignment"] = constant_case(
            _operation, _handed_over, by_assignment
        )
    for _change in ARRAY_CHANGES[1:]:
        CASES[f"{_operation}, array, {_change.__name__}"] = constant_case(_operation, array, _change)
    for _what in ("c", "x"):
        CASES[f"{_operation}, new data of {_what}"] = replaced_case(_operation, _what)
    CASES[f"{_operation}, requires_grad turned on"] = turned_on_case(_operation)
for _tensor in tensors_of_a_run().held:
    for _number, _write in enumerate(WRITES):
        CASES[f"data of {_tensor}, {_write}"] = handed_out_case(_tensor, _write, before=_number % 2 == 0)
for _name, (_make, _change_value) in ARGUMENTS.items():
    CASES[_name] = changed_argument(_make, _change_value)
