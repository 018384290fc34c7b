"""Losses: how far predictions are from targets, as one number to call backward on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ..engine.annotate import HERE
from ..engine.tensor import Tensor, tensors

Reduction = Literal["mean", "sum", "none"]
REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"mean": Tensor.mean, "sum": Tensor.sum, "none": lambda x: x}


def cross_entropy(input: Any, target: Any, *, reduction: Reduction = "mean") -> Tensor:
    """-log softmax(input)[target]: the nats it takes to be told the right class; divide by log(2) for bits.

    input: logits (batch, classes), or (classes,) for one example. target: whole numbers from 0 to classes - 1, (batch,)
        or one int.
    reduction: "mean" or "sum" over the batch, or "none" for a loss per example.
    Raises TypeError, ValueError or IndexError where they do not fit each other.
    """
    (logits,) = tensors(input)
    classes = np.asarray(target.data if isinstance(target, Tensor) else target)
    reduce = _reduction("cross_entropy", reduction, classes.size)
    if classes.dtype.kind not in "iu":
        raise TypeError(
            f"the targets of cross_entropy ({HERE.get()}) are the numbers of the right classes, ints, not "
            f"{classes.dtype}; from one-hot rows make them with target.argmax(axis=-1)"
        )
    if logits.ndim not in (1, 2) or logits.shape[:-1] != classes.shape:
        raise ValueError(
            f"cross_entropy ({HERE.get()}) expects logits (batch, classes) with targets (batch,), or (classes,) with "
            f"one int; got {logits.shape} with {classes.shape}: bring longer ones into one batch with "
            "logits.reshape(-1, classes) and targets.reshape(-1)"
        )
    if classes.min() < 0 or classes.max() >= logits.shape[-1]:
        raise IndexError(
            f"the targets of cross_entropy ({HERE.get()}) reach from {classes.min()} to {classes.max()}, but logits of "
            f"shape {logits.shape} know the classes 0 to {logits.shape[-1] - 1} only"
        )
    right = int(classes) if logits.ndim == 1 else (np.arange(len(classes)), classes)
    return reduce(-logits.log_softmax(axis=-1)[right])


def mse_loss(input: Any, target: Any, *, reduction: Reduction = "mean") -> Tensor:
    """(input - target)^2, its mean or sum over all elements, or "none" of these. Raises ValueError for unequal shapes,
    since broadcasting (5, 1) against (5,) would compare every prediction with every target."""
    prediction, truth = tensors(input, target)
    if prediction.shape != truth.shape:
        raise ValueError(
            f"mse_loss ({HERE.get()}) expects two tensors of one shape; got {prediction.shape} and {truth.shape}: "
            "reshape one of them"
        )
    reduce = _reduction("mse_loss", reduction, truth.size)
    return reduce((prediction - truth).square())


def _reduction(loss: str, reduction: str, size: int) -> Callable[[Tensor], Tensor]:
    if reduction not in REDUCTIONS:
        raise ValueError(f'reduction of {loss} ({HERE.get()}) is "mean", "sum" or "none"; got {reduction!r}')
    if size == 0:
        raise ValueError(f"{loss} ({HERE.get()}) got no examples at all, and there is no mean of nothing")
    return REDUCTIONS[reduction]
