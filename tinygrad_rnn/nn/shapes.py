"""Checks of what goes into a module, whose messages name the module, the parameter, what was expected and what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..engine.annotate import HERE
from ..engine.tensor import Tensor, tensors
from .module import Module, Parameter


def check_features(module: Module, x: Tensor, weight: Parameter, leads: Mapping[int, tuple[str, ...]] | None) -> None:
    """Raises ValueError unless the last axis of `x` fits `weight` (outputs, inputs) and the others are one of `leads`.

    leads: what may stand before the last axis, such as ("batch",), by the number of axes; None for anything.
    """
    shape, inputs = x.value.shape, weight.value.shape[1]
    if shape and shape[-1] == inputs and (leads is None or len(shape) - 1 in leads):
        return
    expected = " or ".join(shown(*lead, inputs) for lead in (leads.values() if leads else [("...",)]))
    if x.ndim and x.shape[-1] != inputs:
        fix = f"make the last axis of x {inputs} long, or build the module for inputs of size {x.shape[-1]}"
    else:
        fix = "reshape x, or give it the axes that are missing with x[None]"
    raise ValueError(
        f"{where(module)} expects x of shape {expected}, since its {weight.name} has shape {weight.shape}; got "
        f"{x.shape}: {fix}"
    )


def check_state(module: Module, names: Sequence[str], state: Any, shape: tuple[int, ...]) -> tuple[Tensor, ...]:
    """The initial states as Tensors. Raises TypeError unless there is one for each name, ValueError for shapes."""
    if not isinstance(state, (tuple, list)) or len(state) != len(names):
        got = f"{len(state)} of them" if isinstance(state, (tuple, list)) else type(state).__name__
        raise TypeError(f"the state of {where(module)} is a tuple ({', '.join(names)}); got {got}")
    given = tensors(*state)
    for k, value in enumerate(given):
        if value.value.shape != shape:
            raise ValueError(
                f"{where(module)} expects {names[k]} of shape {shape} for this x; got {value.shape}: start from "
                f"np.zeros({shape}), or leave the state out to start from zeros"
            )
    return given


def zero_states(names: Sequence[str], shape: tuple[int, ...], like: Tensor) -> tuple[Tensor, ...]:
    """A constant leaf of zeros for each state: so step 0 has the same graph as every other."""
    return tuple(Tensor(np.zeros(shape, like.dtype), name=f"{name}0") for name in names)


def where(module: Module) -> str:
    """The module and the place, as in ``LSTMCell(8, 16) (encoder/lstm, step 3)``."""
    return f"{type(module).__name__}({module.extra_repr()}) ({HERE.get()})"


def shown(*sizes: int | str) -> str:
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"
