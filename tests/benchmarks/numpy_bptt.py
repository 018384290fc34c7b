"""Back-propagation through time for an LSTM, written by hand in NumPy: what an engine is measured against.

It is written as one would write it for a class and then keep: the two biases are added once, every intermediate
that the backward pass needs is kept, the four gates share one product, gradients are accumulated in place.
"""

import numpy as np


def prepare(problem):
    """-> a function of no arguments that does one training step and returns (loss, gradients by name)."""
    return lambda: loss_and_gradients(problem.xs, **problem.parameters)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def loss_and_gradients(xs, weight_ih, weight_hh, bias_ih, bias_hh):
    """xs: (T, batch, in) -> the mean of h**2 over all steps, and its gradient for each of the four parameters."""
    T, batch, _ = xs.shape
    n = weight_hh.shape[1]
    I, F, G, O = (slice(k * n, (k + 1) * n) for k in range(4))  # PyTorch's gate order
    bias = bias_ih + bias_hh

    hs = np.zeros((T + 1, batch, n), xs.dtype)  # hs[t] is the state before step t
    c = np.zeros((batch, n), xs.dtype)
    tape = []
    for t in range(T):
        z = xs[t].dot(weight_ih.T) + hs[t].dot(weight_hh.T) + bias
        i, f, g, o = sigmoid(z[:, I]), sigmoid(z[:, F]), np.tanh(z[:, G]), sigmoid(z[:, O])
        c_before, c = c, f * c + i * g
        tanh_c = np.tanh(c)
        hs[t + 1] = o * tanh_c
        tape.append((i, f, g, o, c_before, tanh_c))
    loss = np.mean(hs[1:] ** 2)

    d_hs = hs[1:] * (2 / hs[1:].size)
    d_weight_ih, d_weight_hh, d_bias = np.zeros_like(weight_ih), np.zeros_like(weight_hh), np.zeros_like(bias)
    dz = np.empty((batch, 4 * n), xs.dtype)
    dh_next = np.zeros((batch, n), xs.dtype)
    dc_next = np.zeros((batch, n), xs.dtype)
    for t in reversed(range(T)):
        i, f, g, o, c_before, tanh_c = tape[t]
        dh = d_hs[t] + dh_next
        dc = dh * o * (1 - tanh_c**2) + dc_next
        dz[:, I] = dc * g * i * (1 - i)
        dz[:, F] = dc * c_before * f * (1 - f)
        dz[:, G] = dc * i * (1 - g**2)
        dz[:, O] = dh * tanh_c * o * (1 - o)
        d_weight_ih += dz.T.dot(xs[t])
        d_weight_hh += dz.T.dot(hs[t])
        d_bias += dz.sum(axis=0)
        dh_next = dz.dot(weight_hh)
        dc_next = dc * f
    return loss, {"weight_ih": d_weight_ih, "weight_hh": d_weight_hh, "bias_ih": d_bias, "bias_hh": d_bias.copy()}
