"""The operations of random programs, spelled for PyTorch. Imported only where PyTorch is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.engine.programs import Library

PYTORCH: Library = {
    **{
        name: getattr(torch, name)
        for name in ["negative", "exp", "expm1", "log", "log1p", "sqrt", "square", "sin", "cos"]
    },
    **{
        name: getattr(torch, name)
        for name in ["tanh", "sigmoid", "abs", "relu", "add", "subtract", "multiply", "divide"]
    },
    **{name: getattr(torch, name) for name in ["maximum", "minimum", "matmul"]},
    "power": torch.pow,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "named": lambda x: x,
    "weighted": lambda x, weights: x * torch.from_numpy(np.asarray(weights)),
    "clip": lambda x, low, high: torch.clamp(x, low, high),
    "power_of_number": lambda x, number: x**number,
    "number_minus": lambda x, number: number - x,
    "where": lambda a, b, condition: torch.where(torch.as_tensor(condition), a, b),
    "where_greater": lambda a, b: torch.where(a > b, a, b * b),
    "outer": lambda a, b: torch.outer(a.reshape(-1), b.reshape(-1)),
    "dot": lambda a, b: _dot(a, b),
    "linear": lambda x, w, b=None: x @ w.T if b is None else x @ w.T + b,
    "sum": lambda x, axis=None, keepdims=False: torch.sum(x, _axes(x, axis), keepdims),
    "mean": lambda x, axis, keepdims: torch.mean(x, _axes(x, axis), keepdims),
    "max": lambda x, axis, keepdims: torch.amax(x, _axes(x, axis), keepdims),
    "min": lambda x, axis, keepdims: torch.amin(x, _axes(x, axis), keepdims),
    "logsumexp": lambda x, axis, keepdims: torch.logsumexp(x, _axes(x, axis), keepdims),
    "softmax": lambda x, axis: torch.softmax(x, axis),
    "log_softmax": lambda x, axis: torch.log_softmax(x, axis),
    "cumsum": lambda x, axis: torch.cumsum(x, axis),
    "reshape": lambda x, shape: torch.reshape(x, shape),
    "transpose": lambda x, axes: x.permute(axes),
    "swapaxes": lambda x, first, second: torch.swapaxes(x, first, second),
    "moveaxis": lambda x, first, second: torch.moveaxis(x, first, second),
    "expand_dims": lambda x, axis: torch.unsqueeze(x, axis),
    "squeeze": lambda x, axis: torch.squeeze(x, axis),
    "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
    "concatenate": lambda *xs, axis: torch.cat(xs, axis),
    "stack": lambda *xs, axis: torch.stack(xs, axis),
    "split": lambda x, axis, part: torch.tensor_split(x, 2, axis)[part],
    "pad": lambda x, widths, value: torch.nn.functional.pad(x, [n for pair in widths[::-1] for n in pair], value=value),
    "slice": lambda x, index: _sliced(x, index),
    "gather": lambda x, index: _gathered(x, index),
    "embedding": lambda w, ids: w[torch.from_numpy(ids)],
    "einsum": lambda *xs, subscripts: torch.einsum(subscripts, *xs),
}


def _axes(x: Any, axis: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis


def _dot(a: Any, b: Any) -> Any:
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if b.ndim == 1:
        return torch.tensordot(a, b, ([-1], [0]))
    return torch.tensordot(a, b, ([-1], [-2]))


def _sliced(x: Any, index: tuple[Any, ...]) -> Any:
    """PyTorch has no negative steps: the axis is turned round first."""
    axes = [item for item in index if item is not None and item is not Ellipsis]
    backwards = [a for a, item in enumerate(axes) if isinstance(item, slice) and item.step == -1]
    forwards = [slice(None) if isinstance(item, slice) and item.step == -1 else item for item in index]
    return torch.flip(x, backwards)[tuple(forwards)]


def _gathered(x: Any, index: tuple[Any, ...]) -> Any:
    """As in NumPy, by way of the places of the elements."""
    places = np.asarray(np.arange(x.numel()).reshape(tuple(x.shape))[index])
    return x.reshape(-1)[torch.from_numpy(places.copy())]
