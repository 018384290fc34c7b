"""The same LSTM on tinygrad_rnn, as a user writes it: the composed cell, with scopes, steps and names recorded."""

import tinygrad_rnn as tg
from tinygrad_rnn import nn


def prepare(problem):
    """-> a function of no arguments that does one training step and returns (loss, gradients by name)."""
    cell = nn.LSTMCell(problem.inputs, problem.hidden, dtype=problem.xs.dtype)
    cell.load_state_dict(problem.parameters)
    parameters = dict(cell.named_parameters())
    xs = tg.Tensor(problem.xs)
    zeros = tg.Tensor(problem.initial_state)

    def training_step():
        h = c = zeros
        states = []
        for _, x in tg.steps(xs):
            h, c = cell(x, (h, c))
            states.append(h)
        loss = tg.stack(states).square().mean()
        gradients = tg.grad(loss, list(parameters.values()))
        return loss, dict(zip(parameters, gradients, strict=True))

    return training_step


def count_operations(loss):
    """How many operations the tape behind the loss holds; leaves are not counted."""
    seen, waiting = set(), [loss]
    while waiting:
        node = waiting.pop()
        if node.primitive is not None and node.index not in seen:
            seen.add(node.index)
            waiting.extend(node.inputs)
    return len(seen)
