"""The engine's laws 6 to 8: gradients are returned and shared with nothing, data cannot change, dtypes. And names."""

import itertools

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine.checks import close, equal
from tests.engine.samples import OPERATIONS, generator, node_of, samples_of, tensors_of
from tinygrad_rnn.engine import primitives as p
from tinygrad_rnn.engine.sweep import tape


def leaf(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name)


# 6. Gradients are returned -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, primitive in p.TABLE.items() if primitive.differentiable])
def test_gradients_are_fresh_and_share_memory_with_nothing(name):
    for sample in samples_of(name):
        xs = tensors_of(sample)
        y = sample.f(*xs, **sample.how)
        v = generator(str(sample)).uniform(-2.0, 2.0, y.shape)
        found = [*tg.vjp(y, xs, v), *tg.vjp(y, [*xs, y], v), *tg.vjp(y, xs, v[None])]
        held = [v, *[node.value for node in tape([y]).values()], *[x.value for x in y.inputs]]
        for k, one in enumerate(found):
            assert one.flags.writeable
            assert not any(np.shares_memory(one, other) for other in [*held, *found[:k]])


def test_the_gradient_by_the_output_itself_is_a_copy_of_the_seed():
    x = leaf([1.0, 2.0])
    seed = np.array([3.0, 4.0])
    found = tg.vjp(x.tanh(), x, seed)
    by_itself = tg.vjp(x, x, seed)
    assert not np.shares_memory(by_itself, seed)
    seed[:] = 0.0
    equal(by_itself, [3.0, 4.0])
    assert np.all(found != 0.0)


def test_the_same_tensor_asked_for_twice_is_answered_with_two_arrays():
    x = leaf([1.0, 2.0])
    first, second = tg.grad((x * x).sum(), [x, x])
    assert not np.shares_memory(first, second)
    equal(first, second)


def test_a_gradient_written_to_changes_no_later_one():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = ((x + w) + x[::-1]).sum()
    first = tg.grad(y, [x, w])
    for g in first:
        g[:] = np.nan
    equal(tg.grad(y, [x, w])[0], [2.0, 2.0])
    y.backward()
    x.grad[:] = 7.0
    y.backward()
    equal(x.grad, [9.0, 9.0])
    equal(w.grad, [2.0, 2.0])


def test_backward_adds_into_leaves():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = (x * w).sum()
    y.backward()
    equal(x.grad, w.data)
    y.backward(gradient=2.0)
    equal(x.grad, 3 * w.data)
    equal(w.grad, 3 * x.data)
    assert not np.shares_memory(x.grad, w.data)
    x.grad = None
    y.backward()
    equal(x.grad, w.data)
    equal(w.grad, 4 * x.data)


def test_backward_keeps_named_ones_or_all_where_asked_and_else_says_so():
    x = leaf([1.0, 2.0], "x")
    with tg.scope("cell"):
        a = x * 3.0
        h = a.tanh().named("h")
    y = h.sum()
    y.backward()
    for tensor in (a, h, y):
        with pytest.raises(RuntimeError, match=r"no gradient is kept at .*keep=\"named\".*tg\.grad"):
            _ = tensor.grad
    y.backward(keep="named")
    equal(h.grad, [1.0, 1.0])
    with pytest.raises(RuntimeError, match=r"the result of multiply \(cell\)"):
        _ = a.grad
    y.backward(keep="all")
    equal(h.grad, [2.0, 2.0])
    close(a.grad, 1 - h.data**2, 1e-15)
    assert float(y.grad) == 1.0
    close(x.grad, 9 * (1 - h.data**2), 1e-15)
    assert not any(np.shares_memory(one.grad, other.grad) for one, other in itertools.combinations([x, a, h, y], 2))
    with pytest.raises(ValueError, match="keep"):
        y.backward(keep="everything")


def test_a_constant_and_a_leaf_before_backward_have_no_gradient_rather_than_0():
    assert tg.Tensor([1.0]).grad is None
    assert leaf([1.0]).grad is None


def test_the_tape_stays_as_it_was_after_a_sweep():
    x, w = leaf([1.0, 2.0]), leaf([[3.0, 4.0], [5.0, 6.0]])
    y = ((w @ x).tanh()[[0, 0, 1]] * 2.0).sum()
    order = tape([y])
    before = [(n.index, n.primitive, n.inputs, dict(n.params), n.value.copy(), n.place, n.name) for n in order.values()]
    y.backward()
    tg.grad(y, w, create_graph=True)
    tg.jacobian(y, x)
    for node, (index, primitive, inputs, params, value, place, name) in zip(order.values(), before, strict=True):
        assert (node.index, node.primitive, node.place, node.name) == (index, primitive, place, name)
        assert all(a is b for a, b in zip(node.inputs, inputs, strict=True))
        assert node.params.keys() == params.keys()
        equal(node.value, value)


def test_no_path_is_an_error_and_not_0():
    x, other = leaf([1.0], "x"), leaf([1.0], "other")
    y = (x * 2.0).sum()
    with pytest.raises(RuntimeError, match="no path leads from «other»"):
        tg.grad(y, [x, other])
    by_x, by_other = tg.grad(y, [x, other], allow_unused=True)
    assert by_other is None
    equal(by_x, [2.0])


# 7. What the tape relies on ------------------------------------------------------------------------------------------


def test_user_data_is_copied():
    array = np.array([1.0, 2.0])
    x = leaf(array)
    y = x * array
    z = tg.where(array > 1.5, x, array)
    array[:] = 100.0
    equal(x.data, [1.0, 2.0])
    equal(y.data, [1.0, 4.0])
    equal(z.data, [1.0, 2.0])
    equal(tg.grad(y.sum(), x), [1.0, 2.0])
    equal(tg.grad(z.sum(), x), [0.0, 1.0])


@pytest.mark.parametrize("name", OPERATIONS)
def test_data_is_read_only_and_cannot_be_made_writable(name):
    for sample in samples_of(name)[:6]:
        y = node_of(sample)
        for tensor in (y, *y.inputs):
            with pytest.raises(ValueError, match="read-only"):
                tensor.data[...] = 0.0
            with pytest.raises(ValueError, match="WRITEABLE"):
                tensor.data.flags.writeable = True


def test_an_index_array_changed_later_changes_no_gradient():
    x, ids = leaf([1.0, 2.0, 3.0]), np.array([0, 0, 2])
    y = x[ids]
    ids[:] = 1
    equal(tg.vjp(y, x, np.ones(3)), [2.0, 0.0, 1.0])


def test_the_index_that_a_gather_keeps_is_a_copy_that_cannot_be_written_to():
    x, ids, mask = leaf([1.0, 2.0, 3.0]), np.array([0, 0, 2]), np.array([True, False, True])
    for index in (ids, mask, [0, 2], (None, ids), (..., ids)):
        kept = [item for item in x[index].params["index"] if isinstance(item, np.ndarray)]
        assert kept
        for array in kept:
            assert not np.shares_memory(array, ids)
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


# How an array lies in memory -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, primitive in p.TABLE.items() if primitive.differentiable])
def test_how_an_array_lies_in_memory_changes_no_number(name):
    for sample in samples_of(name):
        v = generator(str(sample)).uniform(-2.0, 2.0, node_of(sample).shape)
        found = []
        for lay in (np.ascontiguousarray, np.asfortranarray):
            xs = [leaf(lay(a) if a.ndim else a) for a in sample.inputs]
            y = sample.f(*xs, **sample.how)
            found.append([y.data, *tg.vjp(y, xs, v)])
        for one, other in zip(*found, strict=True):
            close(one, other, 1e-14 * (1 + v.size))


@pytest.mark.parametrize("lay", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize(("rows", "wide"), [(40, (128, 256)), (40, (256, 128)), (1, (1024, 1024))])
def test_a_large_linear_is_right_however_its_weights_lie(lay, rows, wide):
    """From a million multiplications on the product is made another way; sums of small whole numbers are exact."""
    rng = generator(f"large linear {rows} {wide}")
    x, w, b, v = (rng.integers(-9, 10, n).astype(float) for n in [(rows, wide[1]), wide, wide[:1], (rows, wide[0])])
    xs = [leaf(x), leaf(lay(w)), leaf(b)]
    y = tg.linear(*xs)
    equal(y.data, np.einsum("ni,oi->no", x, w) + b)
    expected = [np.einsum("no,oi->ni", v, w), np.einsum("no,ni->oi", v, x), v.sum(axis=0)]
    for found, one in zip(tg.vjp(y, xs, v), expected, strict=True):
        equal(found, one)
    for found, one in zip(tg.vjp(y, xs, v, create_graph=True), expected, strict=True):
        equal(found.data, one)


# 8. dtypes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2, 2.5, True])
@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"])
def test_python_numbers_take_the_dtype_of_the_tensor(number, operation):
    for dtype in (np.float16, np.float32, np.float64):
        x = leaf(np.array([0.5, 1.5], dtype))
        for y in (getattr(tg, operation)(x, number), getattr(tg, operation)(number, x)):
            assert y.dtype == dtype
            assert tg.grad(y.sum(), x).dtype == dtype


def test_numpy_scalars_and_arrays_follow_numpy():
    x = leaf(np.array([0.5, 1.5], np.float32))
    for other in (np.float64(2.0), np.float32(2.0), np.ones(2), np.ones(2, np.float16), np.arange(2), np.int64(2)):
        for y, expected in (
            (x * other, x.data * other),
            (other + x, other + x.data),
            (x @ np.ones(2), x.data @ np.ones(2)),
        ):
            assert y.dtype == expected.dtype
            assert tg.grad(y.sum(), x).dtype == np.float32


def test_data_has_numpys_dtype_but_lists_of_floats_are_float64():
    assert tg.Tensor([1.0, 2.0]).dtype == np.float64
    assert tg.Tensor(1.0).dtype == np.float64
    assert tg.Tensor([1, 2]).dtype == np.int64
    assert tg.Tensor([True]).dtype == np.bool_
    assert tg.Tensor(np.float32(1.0)).dtype == np.float32
    assert tg.Tensor([1, 2], dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize("data", [[1, 2], [True, False], np.arange(3), np.arange(3, dtype=np.uint8), 1])
def test_whole_numbers_refuse_a_gradient_and_say_why(data):
    with pytest.raises(TypeError, match=r"gradient exists only for floating-point numbers: write 1\.0 for 1"):
        leaf(data)
    x = tg.Tensor(data)
    with pytest.raises(TypeError, match="floating-point"):
        x.requires_grad = True
    assert not x.requires_grad


def test_gradients_pass_from_one_precision_to_another():
    x = leaf(np.array([0.5, 1.5], np.float32))
    y = x.astype(np.float64) * np.array([1.0, 1e-12])
    assert y.dtype == np.float64
    found = tg.grad(y.sum(), x)
    assert found.dtype == np.float32
    equal(found, np.array([1.0, 1e-12], np.float32))
    assert not x.astype(int).requires_grad
    z = tg.concatenate([x, leaf([1.0])])  # float32 with float64
    assert z.dtype == np.float64
    assert tg.grad(z.sum(), x).dtype == np.float32


def test_the_sum_of_edges_with_unlike_precision_is_in_that_of_the_producer():
    x = leaf(np.array([0.5, 1.5], np.float32))
    y = (x.astype(np.float64) * 2.0 + x * 3.0 + (x * np.ones(2))[::-1]).sum()
    assert tg.grad(y, x).dtype == np.float32
    equal(tg.grad(y, x), np.array([6.0, 6.0], np.float32))


@pytest.mark.parametrize("shapes", [((3,), (2, 3)), ((1,), (2, 1)), ((), (2,)), ((1, 3), (2, 3)), ((3,), (3,))])
def test_a_broadcast_operand_gets_its_gradient_in_its_own_precision(shapes):
    single = tg.Tensor(np.ones(shapes[0]), requires_grad=True, dtype=np.float32)
    double = leaf(np.ones(shapes[1]))
    by_single, by_double = tg.grad((single * double).sum(), [single, double])
    assert (by_single.dtype, by_double.dtype) == (np.float32, np.float64)
    equal(by_single, np.full(shapes[0], double.size / single.size))


def eighths(x):
    """Numbers that every precision holds exactly."""
    return np.where(np.abs(x) < 0.1, 0.125, np.round(x * 8) / 8)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("other_dtype", [np.float32, np.float16])
def test_constants_of_lower_precision_make_no_gradient_less_precise(name, other_dtype):
    for sample in [sample for sample in samples_of(name) if len(sample.inputs) > 1]:
        for k in range(len(sample.inputs)):
            found, exact = (
                gradient_by_one(sample, k, [np.float64 if j == k else dtype for j in range(len(sample.inputs))])
                for dtype in (other_dtype, np.float64)
            )
            if exact is not None:
                assert found.dtype == np.float64
                close(found, exact, 1e-15)


def gradient_by_one(sample, k, dtypes):
    xs = [tg.Tensor(eighths(x), dtype=dtype) for x, dtype in zip(sample.inputs, dtypes, strict=True)]
    xs[k].requires_grad = True
    y = sample.f(*xs, **sample.how)
    return tg.vjp(y, xs[k], np.ones(y.shape)) if y.requires_grad else None


def test_a_base_of_small_whole_numbers_makes_no_gradient_less_precise():
    x = leaf([0.5, 2.0])
    for base in (np.array([3, 2], np.int8), np.array([3, 2], np.float32), np.array([3, 2], np.int64)):
        close(tg.grad((base**x).sum(), x), [3**0.5 * np.log(3), 4 * np.log(2)], 1e-15)


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


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_stack_is_indexed_as_numpy_does_with_arrays_beside_numbers_too(axis):
    xs = [leaf(x) for x in np.random.default_rng(0).normal(size=(3, 3, 3))]
    y = tg.stack(xs, axis=axis)
    mask, some = np.array([True, False, True]), [0, 2, 1]
    parts = (0, -1, slice(None), slice(0, 2), None, ..., some, mask)
    for index in itertools.product(parts, repeat=3):
        try:
            expected = y.data[index]
        except IndexError:
            continue
        equal(y[index].data, expected)
        taken = np.zeros(y.shape)
        np.add.at(taken, index, 1.0)
        if taken.any():
            found = tg.grad(y[index].sum(), xs, allow_unused=True)
            equal(np.stack([np.zeros((3, 3)) if g is None else g for g in found], axis), taken)


def test_naming_a_named_tensor_makes_a_new_one():
    x = tg.Tensor([1.0], requires_grad=True, name="x")
    h = x.named("h")
    assert (x.name, h.name, h.primitive.name) == ("x", "h", "identity")
    unnamed = x * 2.0
    assert unnamed.named("a") is unnamed


@pytest.mark.parametrize("ids", [[], np.zeros((0, 2), int), 1, np.int64(1), tg.Tensor([[0, 1], [1, 1]])])
def test_rows_are_looked_up_by_whole_numbers_of_any_shape(ids):
    table = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    rows = np.asarray(ids.data if isinstance(ids, tg.Tensor) else ids, dtype=int)
    y = tg.embedding(table, rows if np.size(ids) == 0 else ids)
    equal(y.data, table.data[rows])
    equal(tg.grad(y.sum(), table)[:, 0], [(rows == 0).sum(), (rows == 1).sum()])


def test_a_tensor_prints_its_numbers_and_where_they_are_from():
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with tg.scope("encoder"), tg.step(2):
        y = (w * 2.0).named("y")
    assert repr(w) == "Tensor([1., 2.], name='w', requires_grad=True)"
    assert repr(y) == f"{y}" == "Tensor([2., 4.], name='y', made by multiply at encoder, step 2)"
    assert repr(w * 2.0) == "Tensor([2., 4.], made by multiply)"
    assert repr(tg.Tensor(np.float32(0.5))) == "Tensor(0.5, dtype=float32)"
    assert f"{y[1]:.2f}" == "4.00"
    assert len(repr(tg.Tensor(np.zeros((500, 500))))) < 300
