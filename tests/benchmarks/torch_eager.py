"""The same LSTM composed from the same primitives in PyTorch eager (not the fused `torch.nn.LSTM`)."""

import os

import torch
from torch.nn.functional import linear


def prepare(problem):
    """-> a function of no arguments that does one training step and returns (loss, gradients by name)."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # as many as NumPy's BLAS in the other processes
    xs = torch.from_numpy(problem.xs)
    parameters = {name: torch.from_numpy(p).requires_grad_() for name, p in problem.parameters.items()}
    zeros = torch.from_numpy(problem.initial_state)
    n = problem.hidden

    def cell(x, h, c):
        z = linear(x, parameters["weight_ih"], parameters["bias_ih"])
        z = z + linear(h, parameters["weight_hh"], parameters["bias_hh"])
        i = torch.sigmoid(z[..., :n])
        f = torch.sigmoid(z[..., n : 2 * n])
        g = torch.tanh(z[..., 2 * n : 3 * n])
        o = torch.sigmoid(z[..., 3 * n :])
        c = f * c + i * g
        return o * torch.tanh(c), c

    def training_step():
        h = c = zeros
        states = []
        for x in xs:
            h, c = cell(x, h, c)
            states.append(h)
        loss = torch.stack(states).square().mean()
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        return loss, dict(zip(parameters, gradients, strict=True))

    return training_step
