"""Connectivity against gradients taken one by one; half-lives; condition numbers."""

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn


def test_connectivity_is_the_norm_of_every_gradient_taken_alone():
    rng = np.random.default_rng(0)
    cell, readout = nn.GRUCell(3, 5, rng=rng), rng.normal(size=5)
    xs = [tg.Tensor(x, requires_grad=True) for x in rng.normal(size=(7, 3))]
    h, logits = tg.Tensor(np.zeros(5)), []
    for _, x in tg.steps(xs):
        h = cell(x, h)
        logits.append((h * readout).sum())
    table = tg.connectivity(logits, xs)
    for a, y in enumerate(logits):
        for b, x in enumerate(xs):
            if b > a:
                assert math.isnan(table[a, b])  # no path is not 0
            else:
                assert table[a, b] == pytest.approx(np.linalg.norm(tg.grad(y, x)), rel=1e-12)


def test_connectivity_says_what_it_needs():
    x, y = tg.Tensor(1.0), tg.Tensor(1.0, requires_grad=True)
    with pytest.raises(TypeError, match="list of Tensors as its outputs"):
        tg.connectivity(y, [y])
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        tg.connectivity([y * x], [x])
    with pytest.raises(TypeError, match="list of Tensors as its inputs"):
        tg.connectivity([y * x], [1.0])


def test_half_lives_of_the_highway():
    found = [tg.half_life(1 / (1 + math.exp(-bias))) for bias in (0, 1, 2, 3, 5)]
    assert np.allclose(found, [1.0, 2.21, 5.46, 14.27, 103.2], rtol=3e-3)
    gates = [tg.Tensor([0.5, 0.25]), np.array([1.0, 0.125])]
    product = 0.5 * 0.25 * 1.0 * 0.125
    assert 0.5 ** (4 / tg.half_life(gates)) == pytest.approx(product)
    assert tg.half_life(1.0) == math.inf
    assert tg.half_life([0.0, 1.0]) == 0.0
    with pytest.raises(ValueError, match="from 0 to 1"):
        tg.half_life(1.5)


def test_the_condition_number_is_that_of_numpy():
    rng = np.random.default_rng(0)
    cell = nn.RNNCell(3, 4, rng=rng)
    h = tg.Tensor(rng.normal(size=4), requires_grad=True)
    states = [h]
    for _, x in tg.steps(rng.normal(size=(3, 3))):
        states.append(cell(x, states[-1]))
    jacobians = tg.state_jacobians(states)
    assert jacobians.condition_number(3, 1) == pytest.approx(np.linalg.cond(jacobians.product(3, 1)), rel=1e-9)


def test_a_search_that_proves_nothing_says_so_and_shows_the_crossings_instead():
    rng = np.random.default_rng(0)
    cell = nn.LSTMCell(3, 6, rng=rng)
    cell.weight_hh.data = cell.weight_hh.data * 12.0
    xs = [tg.Tensor(x, requires_grad=True) for x in rng.normal(size=(14, 3))]
    h, c = tg.Tensor(np.zeros(6)), tg.Tensor(np.zeros(6))
    for _, x in tg.steps(xs):
        h, c = cell(x, (h, c))
    trace = tg.trace_gradient((h * h).sum(), to=xs[0])
    stopped = trace.top_paths(5, unit="landmark", most_expansions=3)
    assert stopped.gap > 0
    assert "proves nothing" in str(stopped)
    best = max(enumerate(trace.by_crossings("h")), key=lambda item: abs(item[1].share))
    assert f"{best[0]} times {best[1].share:.2%}" in str(stopped)
