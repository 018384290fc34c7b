"""The GRU of the paper, reset gate before the product, against its equations written once more, in plain NumPy."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn

NAMES = ("x", "h", "weight_ih", "weight_hh", "bias_ih", "bias_hh")


def sigma(a):
    return 1 / (1 + np.exp(-a))


def paper(x, h, weight_ih, weight_hh, bias_ih, bias_hh):
    """Cho et al. 2014, equations 5 to 8, unit by unit of the batch; runs on complex numbers too."""
    wr, wz, wn = np.split(weight_ih, 3)
    ur, uz, un = np.split(weight_hh, 3)
    br, bz, bn = np.split(bias_ih + bias_hh, 3)
    rows = []
    for x_row, h_row in zip(np.atleast_2d(x), np.atleast_2d(h), strict=True):
        r = sigma(wr @ x_row + ur @ h_row + br)
        z = sigma(wz @ x_row + uz @ h_row + bz)
        candidate = np.tanh(wn @ x_row + un @ (r * h_row) + bn)
        rows.append(z * h_row + (1 - z) * candidate)
    return np.reshape(rows, h.shape)


def sample(batch, inputs, hidden, seed):
    rng = np.random.default_rng(seed)
    shapes = [(*batch, inputs), (*batch, hidden), (3 * hidden, inputs), (3 * hidden, hidden), (3 * hidden,)]
    return [rng.normal(size=shape) for shape in [*shapes, shapes[-1]]], rng.normal(size=(*batch, hidden))


def cell_with(arrays):
    _, _, weight_ih, weight_hh, bias_ih, bias_hh = arrays
    cell = nn.GRUCell(weight_ih.shape[1], weight_hh.shape[1], reset_after=False)
    cell.load_state_dict({"weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias_ih, "bias_hh": bias_hh})
    return cell


@pytest.mark.parametrize(("batch", "inputs", "hidden"), [((3,), 2, 4), ((1,), 1, 1), ((), 3, 2), ((2,), 5, 1)])
def test_the_textbook_gru_is_the_equations_of_the_paper(batch, inputs, hidden):
    arrays, cotangent = sample(batch, inputs, hidden, seed=hidden)
    cell = cell_with(arrays)
    x, h = (tg.Tensor(a, requires_grad=True) for a in arrays[:2])
    y = cell(x, h)
    np.testing.assert_allclose(y.data, paper(*arrays), rtol=1e-13, atol=1e-14)
    gradients = tg.grad((y * cotangent).sum(), [x, h, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh])
    for k, name in enumerate(NAMES):
        by_complex_step = np.empty_like(arrays[k])
        for place in np.ndindex(*arrays[k].shape):
            shifted = [a.astype(complex) for a in arrays]
            shifted[k][place] += 1e-30j
            by_complex_step[place] = (paper(*shifted) * cotangent).sum().imag / 1e-30
        np.testing.assert_allclose(gradients[k], by_complex_step, rtol=1e-12, atol=1e-13, err_msg=name)


def test_the_two_variants_of_the_gru_differ():
    arrays, _ = sample((2,), 3, 4, seed=0)
    cell = cell_with(arrays)
    before = cell(*arrays[:2]).data
    cell.reset_after = True
    assert np.abs(cell(*arrays[:2]).data - before).max() > 1e-3


def test_a_layer_repeats_its_cell_over_time_in_both_variants():
    rng = np.random.default_rng(3)
    xs = rng.normal(size=(5, 2, 3))
    for reset_after in (True, False):
        layer = nn.GRU(3, 4, reset_after=reset_after, rng=0)
        cell = nn.GRUCell(3, 4, reset_after=reset_after, rng=0)
        output, h_n = layer(xs)
        h = None
        for t, x in tg.steps(xs):
            h = cell(x, h)
            np.testing.assert_array_equal(output[t].data, h.data)
        np.testing.assert_array_equal(h_n.data[0], h.data)


def test_a_textbook_gru_without_biases_is_one_with_zero_biases():
    arrays, _ = sample((2,), 3, 4, seed=1)
    bare = nn.GRUCell(3, 4, bias=False, reset_after=False)
    bare.load_state_dict({"weight_ih": arrays[2], "weight_hh": arrays[3]})
    zero = [*arrays[:4], np.zeros(12), np.zeros(12)]
    np.testing.assert_allclose(bare(*arrays[:2]).data, paper(*zero), rtol=1e-13)
