"""Slips that stand in many notes on recurrent networks, each computed as it is written and as it is right.

The four of the derivation itself are in 02_vanishing_term_by_term.py. Here are the others: an index of the input, a
bracket in the wrong place, a matrix that is «less than 1», an output gate left out, gates that read the state that they
make, why a cell state forgets, «the gradient is 0», and the update gate whose meaning flips from text to text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import tinygrad_rnn as tg
from tinygrad_rnn import nn

Array = npt.NDArray[Any]
STEPS, INPUT, HIDDEN = 12, 3, 6


def error(wrong: Array, right: Array) -> float:
    """|wrong - right| / |right|."""
    return float(np.linalg.norm(wrong - right) / np.linalg.norm(right))


def rnn(hidden: int = HIDDEN) -> tuple[nn.RNNCell, list[Array], list[Any], Any]:
    """A cell, its inputs x_1 ... x_T, the states h_0 ... h_T, and a loss at the end."""
    rng = np.random.default_rng(0)
    cell = nn.RNNCell(INPUT, hidden, rng=rng)
    xs = list(rng.normal(size=(STEPS, INPUT)))
    states: list[Any] = [tg.Tensor(rng.normal(size=hidden), requires_grad=True)]
    for _, x in tg.steps(xs):
        states.append(cell(x, states[-1]))
    return cell, xs, states, (states[-1] ** 2).sum()


def input_index() -> tuple[float, float]:
    """The error of the gradient by W_ih with x_i in the direct part, and with x_{i-1}: h_i is made of x_i."""
    cell, xs, states, loss = rnn()
    truth = tg.grad(loss, cell.weight_ih)

    def gradient(x_of: Any) -> Array:
        total = np.zeros_like(truth)
        for i in range(1, STEPS + 1):
            by_state = tg.grad(loss, states[i]) * (1 - states[i].data ** 2)
            total += np.outer(by_state, x_of(i))
        return total

    right = gradient(lambda i: xs[i - 1])  # a list counts from 0: x_i is xs[i - 1]
    slipped = gradient(lambda i: xs[i - 2] if i > 1 else np.zeros(INPUT))
    return error(right, truth), error(slipped, truth)


def bracket() -> tuple[str, float]:
    """What NumPy says to dL/dh . d+h_i/dW . [dh_T/dh_i], and the error of that order where hidden = 1."""
    cell, _, states, loss = rnn()
    row = tg.grad(loss, states[-1])[None]
    direct = tg.jacobian(states[5], cell.weight_hh).reshape(HIDDEN, -1)
    between = tg.jacobian(states[-1], states[5])
    try:
        row @ direct @ between
        complaint = ""
    except ValueError:
        complaint = f"{row.shape} @ {direct.shape} @ {between.shape} does not exist"
    cell, _, states, loss = rnn(hidden=1)
    numbers = (tg.grad(loss, states[-1])[None], tg.jacobian(states[5], cell.weight_hh).reshape(1, -1))
    between = tg.jacobian(states[-1], states[5])
    return complaint, error(numbers[0] @ numbers[1] @ between, numbers[0] @ between @ numbers[1])


def powers_below_one() -> list[tuple[int, float]]:
    """The norms of the powers of a matrix whose eigenvalues are both 0.5."""
    w = np.array([[0.5, 20.0], [0.0, 0.5]])
    return [(k, float(np.linalg.norm(np.linalg.matrix_power(w, k), 2))) for k in (1, 2, 5, 10, 20)]


def lstm(output_gate: bool = True) -> tuple[Any, list[Any], Any]:
    """An LSTM from its equations, with or without o_t in h_t = o_t * tanh(c_t)."""
    rng = np.random.default_rng(0)
    w = tg.Tensor(rng.normal(0, 0.5, (4 * HIDDEN, INPUT + HIDDEN)), requires_grad=True, name="W")
    h, c, gates = tg.Tensor(np.zeros(HIDDEN)), tg.Tensor(np.zeros(HIDDEN)), []
    for _, x in tg.steps(rng.normal(size=(STEPS, INPUT))):
        i, f, g, o = np.split(w @ np.concatenate([x, h]), 4)
        i, f, g, o = tg.sigmoid(i).named("i"), tg.sigmoid(f).named("f"), tg.tanh(g).named("g"), tg.sigmoid(o).named("o")
        c = (f * c + i * g).named("c")
        h = (o * c.tanh() if output_gate else c.tanh()).named("h")
        gates.append(o)
    return w, gates, (h**2).sum()


def output_gate_left_out() -> tuple[float, bool]:
    """The error of the gradient without o_t, and whether any gradient then gets to the rows of W that make o."""
    w, _, loss = lstm()
    slipped_w, _, slipped = lstm(output_gate=False)
    wrong = tg.grad(slipped, slipped_w)
    return error(wrong, tg.grad(loss, w)), bool(wrong[3 * HIDDEN :].any())


def gates_that_read_what_they_make() -> tuple[float, int]:
    """f_t = F(h_t, x_t) needs h_t, which needs f_t: as an equation to be solved at each step it is another model.

    Returns the error of its last state, and how many rounds the slowest step needed to settle to 1e-12.
    """
    rng = np.random.default_rng(0)
    w = rng.normal(0, 0.5, (4 * HIDDEN, INPUT + HIDDEN))
    xs = rng.normal(size=(STEPS, INPUT))

    def step(x: Array, seen: Array, c: Array) -> tuple[Array, Array]:
        i, f, g, o = np.split(w @ np.concatenate([x, seen]), 4)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        return o * np.tanh(c), c

    h = c = np.zeros(HIDDEN)
    circular_h = circular_c = np.zeros(HIDDEN)
    slowest = 0
    for x in xs:
        h, c = step(x, h, c)
        guess, before, rounds = circular_h, circular_c, 0
        while True:
            rounds += 1
            circular_h, circular_c = step(x, guess, before)
            if np.max(np.abs(circular_h - guess)) < 1e-12:
                break
            guess = circular_h
        slowest = max(slowest, rounds)
    return error(circular_h, h), slowest


def cell_states(f: float, steps: int = 100) -> tuple[float, float]:
    """-> how much c changes in all, the sum of |c_t - c_{t-1}|, and |dc_T/dc_0|, of c' = f c + new.

    With f = 1 something new comes in at every step; with f = 0.9 just what was forgotten.
    """
    c = c0 = tg.Tensor(np.array([1.0]), requires_grad=True)
    change = 0.0
    for t, _ in tg.steps(range(steps)):
        before = c.data
        new = np.array([np.sin(t)]) if f == 1.0 else (1 - f) * before
        c = (f * c + new).named("c")
        change += float(np.abs(c.data - before).sum())
    return change, float(tg.grad(c.sum(), c0)[0])


def not_zero() -> tuple[float, float]:
    """log10 of the far and of the nearest contribution of a plain RNN over 400 steps."""
    rng = np.random.default_rng(0)
    cell = nn.RNNCell(INPUT, HIDDEN, rng=rng)
    h = tg.Tensor(rng.normal(size=HIDDEN))
    for _, x in tg.steps(rng.normal(size=(400, INPUT))):
        h = cell(x, h)
    logs = tg.trace_gradient((h**2).sum(), to=cell.weight_hh).log10_norms()
    return logs[0], logs[399]


def meaning_of_z() -> tuple[float, float]:
    """h' = (1 - z) n + z h beside h' = z n + (1 - z) h: the error with the same weights, and with the sign of z's."""
    rng = np.random.default_rng(0)
    w, u = (rng.normal(0, 0.5, (2 * HIDDEN, n)) for n in (HIDDEN, INPUT))
    xs = rng.normal(size=(STEPS, INPUT))

    def last(keeps: bool, sign: float = 1.0) -> Array:
        h = np.zeros(HIDDEN)
        for x in xs:
            z = 1 / (1 + np.exp(-sign * (w @ h + u @ x)[:HIDDEN]))
            n = np.tanh((w @ h + u @ x)[HIDDEN:])
            h = (1 - z) * n + z * h if keeps else z * n + (1 - z) * h
        return h

    return error(last(False), last(True)), error(last(False, sign=-1.0), last(True))


def main() -> None:
    right, slipped = input_index()
    print(f"1. x_j for x_{{j+1}} in h_{{j+1}} = g(W h_j + f(x_{{j+1}})): the gradient by W_ih is off by {slipped:.0%}")
    print(f"   (with the right index by {right:.0e}).")
    complaint, with_numbers = bracket()
    print("\n2. dL/dh_T . dh_i/dW . [dh_T/dh_i], the bracket after d+h_i/dW: with matrices")
    print(f"   {complaint}.")
    print(
        f"   Only where every factor is a number, hidden = 1, may they change places (difference {with_numbers:.0e})."
    )
    print(
        "\n3. «W^k < 1»: a matrix is not less than 1. Both eigenvalues of [[.5, 20], [0, .5]] are 0.5; its powers have"
    )
    print("   the norms " + ", ".join(f"{norm:.3g} (k = {k})" for k, norm in powers_below_one()) + ".")
    print("   It is the largest singular value, here of diag(g') W, that bounds a single step.")
    off, heard = output_gate_left_out()
    print(
        f"\n4. h_t = tanh(c_t), without o_t: the gradient by W is off by {off:.0%}, and that of the rows that make o is"
    )
    print(f"   {'not 0' if heard else '0 exactly: no path leads there, and the output gate learns nothing'}.")
    off, rounds = gates_that_read_what_they_make()
    print(
        "\n5. Gates that read h_t rather than h_{t-1}: f_t is then made of what is made of f_t, and no tape can record"
    )
    print(
        f"   it. Solved as an equation, in up to {rounds} rounds a step, it is another model: h_T is off by {off:.0%}."
    )
    print("\n6. «It vanishes because the cell state changes»: it is the product of the forget gates that vanishes.")
    for f in (1.0, 0.9):
        change, left = cell_states(f)
        says = "the cell state takes in sin t at every step" if f == 1.0 else "the cell state stays as it is"
        print(f"   f = {f:g}: {says}, a change of {change:.3g} in all; |dc_100/dc_0| = {left:.3g}")
    far, near = not_zero()
    print(
        f"\n7. «The gradient is 0»: over 400 steps the farthest term has the norm 10^{far:.0f}, beside 10^{near:.1f} of"
    )
    print(
        "   the nearest: vanished, and not zero. And it is a term; the sum, the gradient, is as large as its nearest."
    )
    same, flipped = meaning_of_z()
    print(
        "\n8. z: in h' = (1 - z) n + z h it keeps, in h' = z n + (1 - z) h it lets in. With the same weights the last"
    )
    print(f"   states differ by {same:.0%}; with the signs of z's weights turned round, by {flipped:.0e}.")


if __name__ == "__main__":
    main()
