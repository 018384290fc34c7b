"""The time loop: RNN, LSTM and GRU layers over whole sequences. The only place in `nn` that writes the step.

Layers and directions share one time axis. They hand lists of h_t to one another and stack only at the end, so that a
path from one layer to the next is one edge for each step. Layer k works in the scope `layer0`, `layer1`, ..., and its
backward direction in `layer0_reverse`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from ..engine.annotate import scope, steps
from ..engine.functions import concatenate, stack
from ..engine.tensor import Tensor, tensors
from .cells import GRU_STEPS, RNN_STEPS, GRUCell, LSTMCell, RecurrentCell, RNNCell, checked_nonlinearity, lstm_step
from .init import Rng, check_sizes, checked_switch, generator, hidden_bound, recurrent
from .module import Module, Parameter
from .shapes import check_features, check_state, where, zero_states

State = tuple[Tensor, ...]  # (h,), or (h, c) of an LSTM
Step = Callable[[Tensor, State], State]


def unroll(step: Step, xs: Iterable[Any], state: State, *, start: int = 0, reverse: bool = False) -> list[State]:
    """The state after every step, in order of time: state[t] = step(xs[t], state[t - 1]), or t + 1 where `reverse`.

    xs: what `tg.steps` takes, along time. start: the number of the first step.
    """
    states = []
    for _, x in steps(xs, start=start, reverse=reverse):
        state = step(x, state)
        states.append(state)
    return states[::-1] if reverse else states


def side_by_side(directions: Sequence[list[Tensor]], start: int) -> list[Tensor]:
    """The hidden states of all directions joined along their last axis, those of one step at that step."""
    return [concatenate(hs, axis=-1) for _, hs in steps(zip(*directions, strict=True), start=start)]


class AlongTime:
    """A tensor whose second axis is time, as a sequence along time: each element is taken inside its own step."""

    def __init__(self, x: Tensor) -> None:
        self._x = x

    def __len__(self) -> int:
        return self._x.shape[1]

    def __getitem__(self, t: int) -> Tensor:
        return self._x[:, t]

    def __iter__(self) -> Iterator[Tensor]:
        return map(self.__getitem__, range(len(self)))


class RecurrentLayers(Module):
    """What RNN, LSTM and GRU share: parameters with PyTorch's names, initial states, and the order of the loops.

    Parameters, for each layer k and direction, the latter with `_reverse` at the end: weight_ih_l{k}, weight_hh_l{k},
    bias_ih_l{k}, bias_hh_l{k}, shaped and ordered as in the cell; the input of layer k > 0 is `directions * hidden`.
    """

    cell: ClassVar[type[RecurrentCell]]
    weight_ih_l0: Parameter
    weight_hh_l0: Parameter

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        *,
        bidirectional: bool = False,
        dtype: DTypeLike = np.float64,
        rng: Rng = None,
    ) -> None:
        check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        self.input_size, self.hidden_size, self.num_layers, self.bias = input_size, hidden_size, num_layers, bias
        self.batch_first = checked_switch("batch_first", batch_first)
        self.bidirectional = checked_switch("bidirectional", bidirectional)
        rng, bound, rows = generator(rng), hidden_bound(hidden_size), self.cell.gates * hidden_size
        shapes: dict[str, tuple[int, ...]]
        for layer, suffix in self._parts():
            columns = input_size if layer == 0 else hidden_size * (1 + bidirectional)
            shapes = {"weight_ih": (rows, columns), "weight_hh": (rows, hidden_size)}
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
            for name, shape in shapes.items():
                setattr(self, f"{name}_l{layer}{suffix}", Parameter(recurrent(shape, bound, rng=rng, dtype=dtype)))

    @property
    def highway(self) -> str | None:
        """The route on which the gradient crosses time undisturbed; that of the cell."""
        return self.cell.highway

    def _parts(self) -> list[tuple[int, str]]:
        """(layer, suffix of its parameters) in PyTorch's order, which is that of the initial and final states."""
        suffixes = ("", "_reverse") if self.bidirectional else ("",)
        return [(layer, suffix) for layer in range(self.num_layers) for suffix in suffixes]

    def _step(self, *weights: Any) -> Step:
        """One step of the cell with these weights, from a tuple of states to the next."""
        raise NotImplementedError

    def _weights(self, suffix: str) -> list[Any]:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [getattr(self, f"{name}_l{suffix}", None) for name in names]

    def _run(self, x: Any, state: Sequence[Any] | None, start: int) -> tuple[Tensor, State]:
        """The outputs and the final states, stacked as PyTorch stacks them."""
        (x,) = tensors(x)
        initial = self._begin(x, state)
        xs: Any = AlongTime(x) if self.batch_first and x.ndim == 3 else x
        final, outputs = [], []
        for k, (layer, suffix) in enumerate(self._parts()):
            with scope(f"layer{layer}{suffix}"):
                states = unroll(
                    self._step(*self._weights(f"{layer}{suffix}")), xs, initial[k], start=start, reverse=bool(suffix)
                )
            final.append(states[0] if suffix else states[-1])
            outputs.append([s[0] for s in states])
            if len(outputs) == 1 + self.bidirectional:
                xs, outputs = outputs[0] if len(outputs) == 1 else side_by_side(outputs, start), []
        time = 1 if self.batch_first and x.ndim == 3 else 0
        return stack(xs, axis=time), tuple(stack(s) for s in zip(*final, strict=True))

    def _begin(self, x: Tensor, state: Sequence[Any] | None) -> list[State]:
        """The initial state of each part, after all shapes were checked."""
        leads = {1: ("time",), 2: ("batch", "time") if self.batch_first else ("time", "batch")}
        check_features(self, x, self.weight_ih_l0, leads)
        if 0 in x.shape[:-1]:
            raise ValueError(f"{where(self)} got x of shape {x.shape}; a sequence has at least one step and one row")
        batch = () if x.ndim == 2 else (x.shape[0 if self.batch_first else 1],)
        parts = len(self._parts())
        shape = (*batch, self.hidden_size)
        if state is None:
            return [zero_states(self.cell.states, shape, self.weight_hh_l0) for _ in range(parts)]
        given = check_state(self, self.cell.states, state, (parts, *shape))
        return [tuple(s[k] for s in given) for k in range(parts)]

    def extra_repr(self) -> str:
        words = [str(self.input_size), str(self.hidden_size)]
        words += [f"num_layers={self.num_layers}"] if self.num_layers > 1 else []
        words += [] if self.bias else ["bias=False"]
        words += [f"{name}=True" for name in ("batch_first", "bidirectional") if getattr(self, name)]
        return ", ".join(words)


class HiddenStateLayers(RecurrentLayers):
    """What RNN and GRU share: nothing goes from step to step but h."""

    def forward(self, x: Any, h: Any = None, *, start: int = 0) -> tuple[Tensor, Tensor]:
        """The hidden states of the last layer, and the final ones of every layer and direction.

        x: (time, batch, input), (batch, time, input) where batch_first, or (time, input) without a batch.
        h: (layers * directions, batch, hidden), or None for zeros. start: the number of the first step.
        -> output (time, batch, directions * hidden), laid out like x; h_n, shaped like h.
        """
        output, (h_n,) = self._run(x, None if h is None else (h,), start)
        return output, h_n


class RNN(HiddenStateLayers):
    """Layers of `RNNCell` over a sequence; sizes, options and parameters as in PyTorch, and see `RecurrentLayers`."""

    cell = RNNCell

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        *,
        bidirectional: bool = False,
        dtype: DTypeLike = np.float64,
        rng: Rng = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, bidirectional=bidirectional, dtype=dtype, rng=rng
        )
        self.nonlinearity = checked_nonlinearity(nonlinearity)

    def _step(self, *weights: Any) -> Step:
        rnn = RNN_STEPS[self.nonlinearity]
        return lambda x, state: (rnn(x, *state, *weights),)

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity!r}")


class LSTM(RecurrentLayers):
    """Layers of `LSTMCell` over a sequence; sizes, options and parameters as in PyTorch, and see `RecurrentLayers`."""

    cell = LSTMCell

    def _step(self, *weights: Any) -> Step:
        return lambda x, state: lstm_step(x, *state, *weights)

    def forward(self, x: Any, state: Any = None, *, start: int = 0) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The hidden states of the last layer, and the final states of every layer and direction.

        x: (time, batch, input), (batch, time, input) where batch_first, or (time, input) without a batch.
        state: (h, c), each (layers * directions, batch, hidden), or None for zeros.
        start: the number of the first step.
        -> output (time, batch, directions * hidden), laid out like x; (h_n, c_n), shaped like the state.
        """
        output, (h_n, c_n) = self._run(x, state, start)
        return output, (h_n, c_n)


class GRU(HiddenStateLayers):
    """Layers of `GRUCell` over a sequence; sizes, options and parameters as in PyTorch, and see `RecurrentLayers`.

    reset_after: True for the variant of PyTorch and cuDNN, False for that of the paper.
    """

    cell = GRUCell

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        *,
        bidirectional: bool = False,
        reset_after: bool = True,
        dtype: DTypeLike = np.float64,
        rng: Rng = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, bidirectional=bidirectional, dtype=dtype, rng=rng
        )
        self.reset_after = checked_switch("reset_after", reset_after)

    def _step(self, *weights: Any) -> Step:
        gru = GRU_STEPS[self.reset_after]
        return lambda x, state: (gru(x, *state, *weights),)

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.reset_after else ", reset_after=False")
