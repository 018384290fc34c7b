"""Recurrent cells as their equations: one step of an RNN, an LSTM and a GRU, composed of visible operations.

`*` is elementwise, `sigma` the logistic sigmoid. Parameters, their layout and the order of the gates in them are
PyTorch's: weight_ih is (gates * hidden, input), the gates stacked i, f, g, o in an LSTM and r, z, n in a GRU. One
product with the input and one with the hidden state serve all gates, which are slices of them.

Every landmark (h, c, the gates) is named where it is made; each gate has a scope. A cell does not name its input: x
belongs to whoever made it, and `nn.Embedding` calls its output x.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from ..engine.annotate import scope
from ..engine.functions import linear
from ..engine.primitives import take_slice
from ..engine.tensor import Tensor, tensors
from .init import Rng, check_sizes, checked_switch, generator, hidden_bound, recurrent, uniform
from .module import Module, Parameter
from .shapes import check_features, check_state, zero_states


def rnn_step(x: Tensor, h: Tensor, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Tensor:
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh)      (Elman 1990)"""
    return (linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh)).tanh().named("h")


def rnn_relu_step(x: Tensor, h: Tensor, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Tensor:
    """h' = max(0, W_ih x + b_ih + W_hh h + b_hh)      (Le, Jaitly and Hinton 2015)"""
    return (linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh)).relu().named("h")


def parts(a: Tensor, count: int) -> list[Tensor]:
    """The parts for `count` gates, of equal length along the last axis."""
    return [Tensor.record(take_slice, (a,), cut) for cut in _cuts(a.value.shape[-1], count)]


@functools.cache
def _cuts(length: int, count: int) -> list[dict[str, Any]]:
    """Parsed once, since every step of every sequence asks for these slices and keeps them on its tape."""
    size = length // count
    return [{"index": (..., slice(size * k, size * (k + 1)))} for k in range(count)]


def lstm_step(x: Tensor, h: Tensor, c: Tensor, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> tuple[Tensor, Tensor]:
    """One step of an LSTM (Hochreiter and Schmidhuber 1997; the forget gate is Gers, Schmidhuber and Cummins 2000).

    i  = sigma(W_ii x + b_ii + W_hi h + b_hi)      how much of the candidate enters the cell
    f  = sigma(W_if x + b_if + W_hf h + b_hf)      how much of the old cell state stays
    g  =  tanh(W_ig x + b_ig + W_hg h + b_hg)      the candidate
    o  = sigma(W_io x + b_io + W_ho h + b_ho)      how much of the cell is shown
    c' = f * c + i * g
    h' = o * tanh(c')
    """
    a = linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh)
    a_i, a_f, a_g, a_o = parts(a, 4)
    with scope("input"):
        i = a_i.sigmoid().named("i")
    with scope("forget"):
        f = a_f.sigmoid().named("f")
    with scope("candidate"):
        g = a_g.tanh().named("g")
    with scope("output"):
        o = a_o.sigmoid().named("o")
    c = (f * c + i * g).named("c")
    h = (o * c.tanh()).named("h")
    return h, c


def gru_step(x: Tensor, h: Tensor, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Tensor:
    """One step of a GRU (Cho et al. 2014), the reset gate *after* the product, as in PyTorch and cuDNN.

        r  = sigma(W_ir x + b_ir + W_hr h + b_hr)      reset
        z  = sigma(W_iz x + b_iz + W_hz h + b_hz)      update: here z keeps the old state, in the paper too
        n  =  tanh(W_in x + b_in + r * (W_hn h + b_hn))
        h' = (1 - z) * n + z * h

    For the textbook's reset gate *before* the product, see `gru_textbook_step`.
    """
    x_r, x_z, x_n = parts(linear(x, w_ih, b_ih), 3)
    h_r, h_z, h_n = parts(linear(h, w_hh, b_hh), 3)
    with scope("reset"):
        r = (x_r + h_r).sigmoid().named("r")
    with scope("update"):
        z = (x_z + h_z).sigmoid().named("z")
    with scope("candidate"):
        n = (x_n + r * h_n).tanh().named("n")
    return ((1.0 - z) * n + z * h).named("h")


def gru_textbook_step(x: Tensor, h: Tensor, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Tensor:
    """One step of a GRU, the reset gate *before* the product, as in the paper (Cho et al. 2014) and in Chainer.

    Only the candidate differs from `gru_step`:

        n = tanh(W_in x + b_in + W_hn (r * h) + b_hn)
    """
    gates = 2 * h.shape[-1]  # the rows of r and z; those of n have a product of their own
    b_gates, b_n = (None, None) if b_hh is None else (b_hh[:gates], b_hh[gates:])
    x_r, x_z, x_n = parts(linear(x, w_ih, b_ih), 3)
    h_r, h_z = parts(linear(h, w_hh[:gates], b_gates), 2)
    with scope("reset"):
        r = (x_r + h_r).sigmoid().named("r")
    with scope("update"):
        z = (x_z + h_z).sigmoid().named("z")
    with scope("candidate"):
        n = (x_n + linear(r * h, w_hh[gates:], b_n)).tanh().named("n")
    return ((1.0 - z) * n + z * h).named("h")


RNN_STEPS = {"tanh": rnn_step, "relu": rnn_relu_step}
GRU_STEPS = {True: gru_step, False: gru_textbook_step}  # by reset_after


def checked_nonlinearity(name: str) -> str:
    """Raises ValueError unless there is an RNN with this nonlinearity."""
    if name not in RNN_STEPS:
        raise ValueError(f'the nonlinearity of an RNN is "tanh" or "relu"; got {name!r}')
    return name


_LEADS: dict[int, tuple[str, ...]] = {0: (), 1: ("batch",)}


class RecurrentCell(Module):
    """What the three cells share: parameters as PyTorch names, shapes and draws them, and the checks of what goes in.

    gates: how many rows of weights a hidden unit has.
    highway: the route (in the language of `tg.across` and `tg.along`) on which the gradient crosses time undisturbed.
    """

    gates: ClassVar[int]
    states: ClassVar[tuple[str, ...]] = ("h",)
    highway: ClassVar[str | None] = None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, *, dtype: DTypeLike = np.float64, rng: Rng = None
    ) -> None:
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows, bound, rng = self.gates * hidden_size, hidden_bound(hidden_size), generator(rng)
        self.weight_ih = Parameter(recurrent((rows, input_size), bound, rng=rng, dtype=dtype))
        self.weight_hh = Parameter(recurrent((rows, hidden_size), bound, rng=rng, dtype=dtype))
        self.bias_ih = Parameter(uniform((rows,), bound, rng=rng, dtype=dtype)) if bias else None
        self.bias_hh = Parameter(uniform((rows,), bound, rng=rng, dtype=dtype)) if bias else None

    def _weights(self) -> tuple[Any, Any, Any, Any]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _begin(self, x: Any, state: Sequence[Any] | None) -> tuple[Tensor, ...]:
        """x and the state as Tensors whose shapes were checked; the state is zeros where none was given."""
        (x,) = tensors(x)
        check_features(self, x, self.weight_ih, leads=_LEADS)
        shape = (*x.value.shape[:-1], self.hidden_size)
        if state is None:
            return x, *zero_states(self.states, shape, self.weight_hh)
        return x, *check_state(self, self.states, state, shape)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(RecurrentCell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh): see `rnn_step`. It has no highway: every crossing goes through W_hh.

    Parameters: weight_ih (hidden, input), weight_hh (hidden, hidden), bias_ih and bias_hh (hidden,).
    nonlinearity: "tanh" or "relu".
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        dtype: DTypeLike = np.float64,
        rng: Rng = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, dtype=dtype, rng=rng)
        self.nonlinearity = checked_nonlinearity(nonlinearity)

    def forward(self, x: Any, h: Any = None) -> Tensor:
        """One step: x (batch, input) or (input,), h likewise or None for zeros -> h'. Raises ValueError for shapes."""
        x, h = self._begin(x, None if h is None else (h,))
        return RNN_STEPS[self.nonlinearity](x, h, *self._weights())

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity!r}")


class LSTMCell(RecurrentCell):
    """One step of an LSTM, with its equations: see `lstm_step`.

    Parameters: weight_ih (4 hidden, input), weight_hh (4 hidden, hidden), bias_ih and bias_hh (4 hidden,), the rows in
    the order i, f, g, o.
    highway: the paths that cross time in the cell state only, each step scaled by nothing but the forget gate.
    """

    gates = 4
    states = ("h", "c")
    highway = 'across("c*")'

    def forward(self, x: Any, state: Any = None) -> tuple[Tensor, Tensor]:
        """One step: x (batch, input) or (input,), state (h, c) or None for zeros -> (h', c')."""
        x, h, c = self._begin(x, state)
        return lstm_step(x, h, c, *self._weights())


class GRUCell(RecurrentCell):
    """One step of a GRU, with its equations: see `gru_step`, and `gru_textbook_step` for reset_after=False.

    Parameters: weight_ih (3 hidden, input), weight_hh (3 hidden, hidden), bias_ih and bias_hh (3 hidden,), the rows in
    the order r, z, n.
    reset_after: True for the variant of PyTorch and cuDNN, False for that of the paper.
    highway: the leak path, from h to the next h directly, each step scaled by nothing but the update gate.
    """

    gates = 3
    highway = '~along(".* h> (z | r | n) .*")'

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        reset_after: bool = True,
        dtype: DTypeLike = np.float64,
        rng: Rng = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, dtype=dtype, rng=rng)
        self.reset_after = checked_switch("reset_after", reset_after)

    def forward(self, x: Any, h: Any = None) -> Tensor:
        """One step: x (batch, input) or (input,), h likewise or None for zeros -> h'. Raises ValueError for shapes."""
        x, h = self._begin(x, None if h is None else (h,))
        return GRU_STEPS[self.reset_after](x, h, *self._weights())

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.reset_after else ", reset_after=False")
