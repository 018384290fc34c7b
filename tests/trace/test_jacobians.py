"""State Jacobians against finite differences, the closed formulas of the cells, and the theorems about them."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.trace import brute_force
from tinygrad_rnn import nn

INPUT, HIDDEN = 3, 4


def run(cell, steps, seed=1):
    rng = np.random.default_rng(seed)
    h = tg.Tensor(rng.normal(size=HIDDEN), requires_grad=True)
    state = (h, tg.Tensor(rng.normal(size=HIDDEN), requires_grad=True)) if isinstance(cell, nn.LSTMCell) else h
    states = [state]
    for _, x in tg.steps(rng.normal(size=(steps, INPUT))):
        state = cell(x, state)
        states.append(state)
    return states


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_products_are_the_derivatives_of_the_last_state_by_an_earlier_one(kind):
    states = run(kind(INPUT, HIDDEN, rng=0), 6)
    jacobians = tg.state_jacobians(states)
    h = [s[0] if isinstance(s, tuple) else s for s in states]
    n = HIDDEN
    whole = jacobians.product(6, 0)
    assert np.allclose(whole[:n, :n], tg.jacobian(h[6], h[0]), rtol=1e-12, atol=1e-15)
    assert np.allclose(jacobians.products[6, 0], whole, rtol=1e-12, atol=1e-18)
    assert np.array_equal(jacobians.product(3, 3), np.eye(len(whole)))
    assert not jacobians.products[2, 4].any()


def test_the_factor_of_a_vanilla_rnn_is_the_slope_times_the_weight():
    cell = nn.RNNCell(INPUT, HIDDEN, rng=0)
    states = run(cell, 5)
    for factor, after in zip(tg.state_jacobians(states).factors, states[1:], strict=True):
        assert np.allclose(factor, np.diag(1 - after.data**2) @ cell.weight_hh.data, rtol=1e-13)


def test_the_blocks_of_an_lstm_are_those_of_its_equations():
    cell = nn.LSTMCell(INPUT, HIDDEN, rng=0)
    states = run(cell, 1)
    (h0, c0), (h1, c1) = states
    gates = {node.name: node.data for node in brute_force.ancestors(h1) if node.name in ("i", "f", "g", "o")}
    w = dict(zip("ifgo", np.split(cell.weight_hh.data, 4), strict=True))
    i, f, g, o = (gates[k] for k in "ifgo")
    dc_dh = (
        np.diag(c0.data * f * (1 - f)) @ w["f"] + np.diag(g * i * (1 - i)) @ w["i"] + np.diag(i * (1 - g**2)) @ w["g"]
    )
    slope = o * (1 - np.tanh(c1.data) ** 2)
    jacobians = tg.state_jacobians(states)
    assert np.allclose(jacobians.block(1, 0, 1, 1), np.diag(f), rtol=1e-13)
    assert np.allclose(jacobians.block(1, 0, 1, 0), dc_dh, rtol=1e-12)
    assert np.allclose(jacobians.block(1, 0, 0, 1), np.diag(slope * f), rtol=1e-12)
    expected = np.diag(slope) @ dc_dh + np.diag(np.tanh(c1.data) * o * (1 - o)) @ w["o"]
    assert np.allclose(jacobians.block(1, 0, 0, 0), expected, rtol=1e-12)
    assert h0.shape == (HIDDEN,)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5])
def test_the_norm_is_below_the_product_of_norms_and_that_below_sigma_gamma(scale):
    cell = nn.RNNCell(INPUT, HIDDEN, rng=3)
    cell.weight_hh.data = cell.weight_hh.data * scale
    bounds = tg.state_jacobians(run(cell, 12)).bounds(cell.weight_hh)
    assert [bound.lag for bound in bounds] == list(range(1, 13))
    for bound in bounds:
        assert bound.exact <= bound.product_of_norms * (1 + 1e-12) <= bound.sigma_gamma * (1 + 1e-12)


def test_the_singular_value_bounds_powers_and_the_radius_does_not():
    w = np.array([[0.5, 20.0], [0.0, 0.5]])
    states = [tg.Tensor(np.ones(2), requires_grad=True)]
    for t in range(10):
        with tg.step(t):
            states.append(tg.Tensor(w) @ states[-1])
    jacobians = tg.state_jacobians(states)
    assert np.allclose(jacobians.radii, 0.5)
    norms = [jacobians.singular_values(k, 0)[0] for k in (1, 2, 5, 10)]
    assert np.allclose(norms, [20.0, 20.0, 6.3, 0.39], rtol=0.01)


def test_lyapunov_exponents_sum_to_the_mean_log_determinant():
    jacobians = tg.state_jacobians(run(nn.LSTMCell(INPUT, HIDDEN, rng=0), 30))
    exponents = jacobians.lyapunov_exponents()
    expected = np.mean([np.linalg.slogdet(factor)[1] for factor in jacobians.factors])
    assert np.isclose(exponents.sum(), expected, rtol=1e-10)
    assert np.all(np.diff(exponents) <= 0)


def test_the_step_of_a_gru_is_leak_and_z_and_candidate_and_r():
    """With s = (1 - z)(1 - n^2) and a = W_n h + b_n:

    dh'/dh = diag(z) + diag((h - n) z (1 - z)) W_z + diag(s r) W_n + diag(s a r (1 - r)) W_r
    """
    cell = nn.GRUCell(INPUT, HIDDEN, rng=0)
    h0, h1 = run(cell, 1)
    classes = {
        "leak": tg.avoiding("z") & tg.avoiding("n"),
        "z": tg.through("z"),
        "candidate": tg.through("n") & tg.avoiding("r"),
        "r": tg.through("r"),
    }
    parts = tg.jacobian_parts(h1, h0, classes)
    r, z, n = (next(node.data for node in brute_force.ancestors(h1) if node.name == name) for name in "rzn")
    w = dict(zip("rzn", np.split(cell.weight_hh.data, 3), strict=True))
    hidden = w["n"] @ h0.data + np.split(cell.bias_hh.data, 3)[2]
    slope = (1 - z) * (1 - n**2)
    assert np.allclose(parts["leak"], np.diag(z), rtol=1e-13)
    assert np.allclose(parts["z"], np.diag((h0.data - n) * z * (1 - z)) @ w["z"], rtol=1e-12)
    assert np.allclose(parts["candidate"], np.diag(slope * r) @ w["n"], rtol=1e-12)
    assert np.allclose(parts["r"], np.diag(slope * hidden * r * (1 - r)) @ w["r"], rtol=1e-12)
    assert np.allclose(sum(parts.values()), tg.jacobian(h1, h0), rtol=1e-12)


def test_the_total_step_of_the_cell_state_is_the_forget_gate_and_what_goes_by_the_hidden_state():
    cell = nn.LSTMCell(INPUT, HIDDEN, rng=0)
    (_, c1), (_, c2) = run(cell, 2)[1:]
    parts = tg.jacobian_parts(c2, c1, {"direct": tg.avoiding("h"), "by h": tg.through("h")})
    f = max((node for node in brute_force.ancestors(c2) if node.name == "f"), key=lambda node: node.place.step)
    assert np.allclose(parts["direct"], np.diag(f.data), rtol=1e-13)
    assert np.allclose(parts["direct"] + parts["by h"], tg.jacobian(c2, c1), rtol=1e-12)
    assert np.abs(parts["by h"]).max() > 1e-3
    with pytest.raises(ValueError, match="belong to no class"):
        tg.jacobian_parts(c2, c1, {"by h": tg.through("h")})


def test_states_that_are_too_few_or_unconnected_are_explained():
    cell = nn.RNNCell(INPUT, HIDDEN, rng=0)
    states = run(cell, 2)
    with pytest.raises(ValueError, match="at least two"):
        tg.state_jacobians(states[:1])
    with pytest.raises(RuntimeError, match="does not depend on the state before"):
        tg.state_jacobians([states[0], tg.Tensor(np.ones(HIDDEN), requires_grad=True) * 2.0])
    with pytest.raises(ValueError, match="0 <= i <= tau <= 2"):
        tg.state_jacobians(states).product(0, 1)


def test_a_jacobian_that_is_exactly_0_is_not_taken_for_a_missing_path():
    h = tg.Tensor([1.0, 2.0], requires_grad=True)
    states = [h]
    for _, x in tg.steps([1.0, 0.0, 1.0]):
        states.append((states[-1] * x).named("h"))
    assert not tg.state_jacobians(states).factors[1].any()
    with pytest.raises(RuntimeError, match="does not depend on the state before"):
        tg.state_jacobians([states[0], states[1].detach() * tg.Tensor(1.0, requires_grad=True)])


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_a_constant_initial_state_is_said_to_be_one_and_the_rest_works(kind):
    """Of a constant c0 beside an h0 with a gradient the block dc1/dc0 would be 0, which is not true."""
    cell, zero, h0 = kind(INPUT, HIDDEN, rng=0), tg.Tensor(np.zeros(HIDDEN), name="zero"), tg.Tensor(np.ones(HIDDEN))
    h0.requires_grad = kind is nn.LSTMCell
    states = [(h0, zero) if kind is nn.LSTMCell else zero]
    for _, x in tg.steps(np.random.default_rng(0).normal(size=(4, INPUT))):
        states.append(cell(x, states[-1]))
    with pytest.raises(RuntimeError, match=r"«zero», .* is a constant, .* states\[1:\]"):
        tg.state_jacobians(states)
    rest = tg.state_jacobians(states[1:])
    if kind is nn.LSTMCell:
        f = next(n for n in brute_force.ancestors(states[2][0]) if n.name == "f" and n.place.step == 1)
        assert np.allclose(rest.block(1, 0, 1, 1), np.diag(f.data), rtol=1e-13)
    else:
        assert np.allclose(rest.product(3, 0), tg.jacobian(states[4], states[1]), rtol=1e-12, atol=1e-15)


def test_states_that_are_none_are_explained():
    h, empty = tg.Tensor(np.ones(3), requires_grad=True), tg.Tensor(np.zeros(0), requires_grad=True)
    with pytest.raises(ValueError, match="has no elements"):
        tg.state_jacobians([empty, empty * 2.0])
    with pytest.raises(TypeError, match=r"such as \(h, c\); got 1"):
        tg.state_jacobians([1, 2])
    with pytest.raises(ValueError, match="same shapes at every step"):
        tg.state_jacobians([h, (h * 2.0, h * 3.0)])
    assert np.array_equal(tg.state_jacobians([[h], [h * 2.0]]).factors, 2 * np.eye(3)[None])


@pytest.mark.parametrize("lag", [2, 3, 5])
def test_a_connection_over_several_steps_is_not_left_out_in_silence(lag):
    states = [tg.Tensor(np.ones(3), requires_grad=True)]
    for t, _ in tg.steps(range(6)):
        states.append((0.5 * states[-1] + (0.1 * states[t - lag] if t >= lag else 0.0)).named("h"))
    with pytest.raises(ValueError, match="go round the state between"):
        tg.state_jacobians(states)
    assert len(tg.state_jacobians(states[: lag + 1]).factors) == lag
