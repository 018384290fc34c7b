"""Optimisers: how parameters follow their gradients. SGD and Adam as PyTorch computes them, and gradient clipping.

A step is all or nothing: the new values are computed first, and then take their places at once.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..engine.arguments import real, shortened
from ..engine.tensor import Tensor
from .module import Module, commit, replacement

Array = np.ndarray[Any, np.dtype[Any]]
Memory = dict[str, Any]  # what an optimiser remembers of one parameter


class Optimizer(ABC):
    """What SGD and Adam share: which parameters they train, and that a step is all or nothing.

    params: the parameters, such as ``model.parameters()``. Raises ValueError if there are none, or one of them twice,
        and TypeError for what is not a leaf that requires a gradient.
    remembers, counts: the names of what is remembered of a parameter: arrays of its shape, and single numbers.
    """

    remembers: ClassVar[tuple[str, ...]] = ()
    counts: ClassVar[tuple[str, ...]] = ()

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        self.params = _trainable(params)
        self.lr = _at_least_zero("lr", lr)
        self.weight_decay = _at_least_zero("weight_decay", weight_decay)
        self.memory: list[Memory] = [{} for _ in self.params]

    @abstractmethod
    def update(self, w: Array, g: Array, memory: Memory) -> tuple[Array, Memory]:
        """The new value of one parameter `w` with gradient `g`, and what to remember of it; changes neither."""

    def step(self) -> None:
        """Changes every parameter that has a gradient. Raises RuntimeError if none has."""
        memory, settings = list(self.memory), []
        for k, p in enumerate(self.params):
            if p.grad is not None:
                g = p.grad + self.weight_decay * p.data if self.weight_decay else p.grad
                w, memory[k] = self.update(p.data, g, memory[k])
                settings += replacement(p, w)
        if not settings:
            raise RuntimeError("no parameter has a gradient yet: call loss.backward() first, and then optimizer.step()")
        commit([*settings, (self, "memory", memory)])

    def state_dict(self) -> dict[str, Array]:
        """A copy of what is remembered, by the number of the parameter, as in "0.m"; empty before the first step."""
        return {f"{k}.{what}": np.array(v) for k, memory in enumerate(self.memory) for what, v in memory.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on with what an optimiser of the same kind remembered of the same parameters, in the same order.

        Settings, such as the learning rate, stay those of this one. Raises ValueError with a list of all mismatches;
        then nothing has changed.
        """
        if not isinstance(state, Mapping):
            raise TypeError(
                f"load_state_dict takes a dict of arrays by name, such as nn.load gives, not {shortened(state)}"
            )
        memory: list[Memory] = [{} for _ in self.params]
        names, problems = (*self.counts, *self.remembers), []
        for name, value in state.items():
            number, _, what = str(name).partition(".")
            if not (number.isdecimal() and int(number) < len(self.params) and what in names):
                problems.append(f"unexpected: {name!r}")
                continue
            k, array = int(number), np.array(value)
            if array.shape != (() if what in self.counts else self.params[k].shape) or array.dtype.kind not in "fi":
                expected = _called(self.params[k])
                problems.append(f"{name}: expected what fits {expected}, got shape {array.shape} {array.dtype}")
            else:
                memory[k][what] = array.item() if what in self.counts else array
        problems += [f"missing: {k}.{what}" for k, one in enumerate(memory) if one for what in names if what not in one]
        if problems:
            raise ValueError(
                f"this state does not fit {type(self).__name__}, which is left as it was:\n  " + "\n  ".join(problems)
            )
        commit([(self, "memory", memory)])

    def zero_grad(self) -> None:
        """Sets the gradient of every parameter to None, so that the next backward starts anew."""
        for p in self.params:
            p.grad = None


class SGD(Optimizer):
    """Stochastic gradient descent, g being the gradient + weight_decay * w:

        v <- momentum * v + g      (v = g at the first step)
        w <- w - lr * v

    (Sutskever et al. 2013 describe momentum; in PyTorch, as here, lr is not part of v.)
    """

    remembers = ("v",)

    def __init__(
        self, params: Iterable[Tensor], lr: float = 1e-3, momentum: float = 0.0, *, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.momentum = _at_least_zero("momentum", momentum)

    def update(self, w: Array, g: Array, memory: Memory) -> tuple[Array, Memory]:
        if not self.momentum:
            return w - self.lr * g, memory
        v = self.momentum * memory["v"] + g if memory else np.array(g)
        return w - self.lr * v, {"v": v}


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1), g being the gradient + weight_decay * w:

        m <- beta1 * m + (1 - beta1) * g
        s <- beta2 * s + (1 - beta2) * g^2
        w <- w - lr * m / (1 - beta1^t) / (sqrt(s / (1 - beta2^t)) + eps)

    t counts the steps of each parameter by itself: those in which it had no gradient do not count.
    """

    remembers, counts = ("m", "s"), ("t",)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.betas, self.eps = betas, _at_least_zero("eps", eps)
        if np.shape(betas) != (2,) or not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(f"betas of Adam are two numbers, both at least 0 and less than 1; got {betas}")

    def update(self, w: Array, g: Array, memory: Memory) -> tuple[Array, Memory]:
        beta1, beta2 = self.betas
        t = memory.get("t", 0) + 1
        m = beta1 * memory.get("m", 0.0) + (1 - beta1) * g
        s = beta2 * memory.get("s", 0.0) + (1 - beta2) * (g * g)
        update = self.lr / (1 - beta1**t) * m / (np.sqrt(s) / math.sqrt(1 - beta2**t) + self.eps)
        return w - update, {"t": t, "m": m, "s": s}


def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = True
) -> float:
    """Scales all gradients by one factor so that their norm together is at most `max_norm`; returns the norm before.

    The factor is min(1, max_norm / (norm + 1e-6)), as in PyTorch (Pascanu, Mikolov and Bengio 2013).
    norm_type: 2, or any p >= 1, or math.inf for the largest element.
    error_if_nonfinite: raise RuntimeError if the norm is NaN or infinite, naming the parameters. (PyTorch's default is
        False, which turns all gradients into NaN then, or where the norm is infinite into NaN and 0.)
    Raises RuntimeError if no parameter has a gradient.
    """
    params = _with_gradients(parameters, "clip_grad_norm_")
    if not norm_type >= 1:
        raise ValueError(f"norm_type is 1, 2, ... or math.inf; got {norm_type}")
    norm = _norm([p.grad for p in params], norm_type)
    if error_if_nonfinite and not math.isfinite(norm):
        bad = [_called(p) for p in params if not np.isfinite(p.grad).all()]
        raise RuntimeError(
            f"the norm of the gradients is {norm}; not finite are those of {', '.join(bad)}. Look for an overflow or a "
            "division by zero in the forward pass, or lower the learning rate"
        )
    factor = float(np.minimum(1.0, _at_least_zero("max_norm", max_norm) / (norm + 1e-6)))  # NaN, of a norm that is
    commit([(p, "_grad", np.asarray(p.grad * factor)) for p in params])
    return norm


def clip_grad_value_(parameters: Iterable[Tensor] | Tensor, clip_value: float) -> None:
    """Clips every element of every gradient to [-clip_value, clip_value]. Raises RuntimeError if there are none."""
    bound = _at_least_zero("clip_value", clip_value)
    params = _with_gradients(parameters, "clip_grad_value_")
    commit([(p, "_grad", np.asarray(np.clip(p.grad, -bound, bound))) for p in params])


def _norm(arrays: list[Any], order: float) -> float:
    """Of all elements together; scaled first, since the square of 1e200 is not a number."""
    largest = max(float(np.abs(a).max(initial=0.0)) for a in arrays)
    if largest == 0.0 or not math.isfinite(largest) or order == math.inf:
        return largest
    total = sum(float((np.abs(np.asarray(a, np.float64) / largest) ** order).sum()) for a in arrays)
    return float(largest * total ** (1.0 / order))


def _tensors(params: Iterable[Tensor] | Tensor) -> list[Tensor]:
    if isinstance(params, Module):
        raise TypeError(f"a list of parameters is needed, not the module: pass {type(params).__name__}.parameters()")
    if not isinstance(params, Iterable):
        raise TypeError(f"a list of parameters comes first, such as model.parameters(); got {params!r}")
    found = [params] if isinstance(params, Tensor) else list(params)
    for p in found:
        if not isinstance(p, Tensor):
            raise TypeError(f"a list of parameters holds Tensors, not {type(p).__name__}; see model.parameters()")
    if not found:
        raise ValueError("there are no parameters to train: pass model.parameters(), made anew, since it runs out")
    return found


def _trainable(params: Iterable[Tensor]) -> list[Tensor]:
    found = _tensors(params)
    for p in found:
        if p.primitive is not None or not p.requires_grad:
            raise TypeError(
                f"{_called(p)} cannot be trained: it is {'computed' if p.primitive else 'a constant'}. Pass leaves "
                "that require a gradient, such as nn.Parameter(array)"
            )
    if len({id(p) for p in found}) < len(found):
        raise ValueError("a parameter is in the list twice, and would be changed twice in a step")
    return found


def _with_gradients(parameters: Iterable[Tensor] | Tensor, caller: str) -> list[Any]:
    params = [p for p in _tensors(parameters) if p.grad is not None]
    if not params:
        raise RuntimeError(f"{caller}: no parameter has a gradient yet: call loss.backward() first")
    return params


def _called(p: Tensor) -> str:
    return f"{p.name or 'a tensor'} of shape {p.shape}"


def _at_least_zero(name: str, value: float) -> float:
    number = real(value, name)
    if not number >= 0:
        raise ValueError(f"{name} is at least 0; got {value}")
    return number
