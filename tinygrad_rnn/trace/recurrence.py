"""What a state goes through on its way from one step to the next: gates that multiply it, a weight."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.tensor import Tensor
from .automaton import crosses
from .jacobians import half_life

Array = npt.NDArray[Any]
OPEN = 0.01  # a unit is called open if so much of a gradient, or more, comes through all its gates


@dataclass(frozen=True)
class Gate:
    """A named tensor that multiplies a state on its way from one step to the next, such as f of an LSTM.

    mean: the geometric mean, since the gradient meets the product. products: by unit, that of its gates at all steps.
    steps: how many those are, fewest and most, since layers may differ.
    """

    name: str
    state: str
    mean: float
    products: Array
    steps: tuple[int, int]

    def __str__(self) -> str:
        life = half_life(np.float64(self.mean))
        alone = f"which alone halves a gradient in {life:.1f} steps" if life < math.inf else "which lets all through"
        steps = " to ".join(map(str, dict.fromkeys(self.steps)))
        still_open = f"{np.count_nonzero(self.products >= OPEN)} of {self.products.size} elements stay open"
        return (
            f"{self.name} multiplies {self.state} from step to step, by {self.mean:.3g} in the geometric mean, "
            f"{alone}; {still_open} (they let 1 % or more through over all their {steps} steps), and the "
            f"most open lets {self.products.max():.2g} through."
        )


def gates_of(order: dict[int, Any]) -> list[Gate]:
    """Found in the graph, whatever their name: what a sigmoid gives, as the other factor of a product with a state of
    another step, where a sum or a name makes a new state of the product: not r of a GRU, whose product meets weights.

    Those of all layers and directions together; a unit of each row of a batch is one of its own.
    """
    summed: set[int] = set()
    for node in order.values():
        if node.primitive is not None and node.primitive.name in ("add", "subtract"):
            summed.update(x.index for x in node.inputs)
    logs: dict[tuple[str, str], dict[tuple[str, tuple[int, ...]], list[Any]]] = {}  # -> scope, shape -> [sum, steps]
    for node in order.values():
        if node.primitive is not None and node.primitive.name == "multiply" and (node.index in summed or node.name):
            for state, gate in (node.inputs, node.inputs[::-1]):
                if state.name and gate.name and gate.size and _is_sigmoid(gate) and crosses(state, node):
                    with np.errstate(divide="ignore"):
                        log = np.log(gate.value, dtype=np.float64)
                    layers = logs.setdefault((gate.name, state.name), {})
                    so_far = layers.setdefault((node.place.scope, gate.shape), [0.0, 0])
                    so_far[:] = so_far[0] + log, so_far[1] + 1
    return [_gate(*names, list(layers.values())) for names, layers in logs.items()]


def _is_sigmoid(x: Any) -> bool:
    return x.primitive is not None and x.primitive.name == "sigmoid"


def _gate(name: str, state: str, layers: list[list[Any]]) -> Gate:
    """layers: of each, the sum over the steps of the gates' logarithms, and how many steps."""
    mean = sum(float(np.sum(log)) for log, _ in layers) / sum(log.size * steps for log, steps in layers)
    products = np.exp(np.concatenate([np.ravel(log) for log, _ in layers]))
    counts = [steps for _, steps in layers]
    return Gate(name, state, math.exp(mean), products, (min(counts), max(counts)))


def recurrent_weights(order: dict[int, Any]) -> list[Tensor]:
    """The square matrices, made outside any step, that states of another step are multiplied by."""
    return list({w.index: w for w in _weights(order)}.values())


def _weights(order: dict[int, Any]) -> Iterator[Tensor]:
    for node in order.values():
        if node.primitive is not None and node.primitive.name in ("linear", "matmul"):
            for state, w in (node.inputs[:2], node.inputs[1::-1]):
                if crosses(state, node) and w.place.step is None and w.ndim == 2 and w.shape[0] == w.shape[1]:
                    yield w
