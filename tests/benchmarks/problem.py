"""The training step that all contestants compute: one LSTM layer over T steps, the mean of h**2 over all steps."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Problem:
    """The inputs (T, batch, in) and the parameters in PyTorch's names, layout and gate order i, f, g, o.

    The loss looks at every step: with one loss at the end the gradients of the
    early steps would be so small at T = 1000 that the time of subnormal numbers would be measured.
    """

    xs: np.ndarray
    parameters: dict[str, np.ndarray]

    @property
    def inputs(self):
        return self.xs.shape[2]

    @property
    def hidden(self):
        return self.parameters["weight_hh"].shape[1]

    @property
    def initial_state(self):
        return np.zeros((self.xs.shape[1], self.hidden), self.xs.dtype)


def make_problem(T, batch, inputs, hidden, dtype=np.float32):
    """The same problem in every process: drawn from a fixed seed, at PyTorch's scale 1/sqrt(hidden)."""
    rng = np.random.default_rng(0)
    shapes = {
        "weight_ih": (4 * hidden, inputs),
        "weight_hh": (4 * hidden, hidden),
        "bias_ih": (4 * hidden,),
        "bias_hh": (4 * hidden,),
    }
    bound = 1 / np.sqrt(hidden)
    parameters = {name: rng.uniform(-bound, bound, shape).astype(dtype) for name, shape in shapes.items()}
    return Problem(rng.standard_normal((T, batch, inputs)).astype(dtype), parameters)
