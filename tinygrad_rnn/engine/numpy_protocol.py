"""NumPy's functions on Tensors: ``np.tanh(t)`` is ``t.tanh()``, recorded like it.

NumPy asks an operand that is not its own what a function means for it. What is registered here is answered; what is
not raises a TypeError that names the function, so that a gradient is never dropped in silence.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

SPELLINGS: dict[Any, Callable[..., Any]] = {}


def spelled(*numpy_functions: Any) -> Callable[[F], F]:
    """Decorate the definition that these NumPy functions stand for when they are given a Tensor."""

    def register(function: F) -> F:
        for spelling in numpy_functions:
            SPELLINGS[spelling] = function
        return function

    return register


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``__array_ufunc__`` answers."""
    if method != "__call__":
        raise TypeError(_unsupported(f"{name_of(ufunc)}.{method}"))
    if "out" in kwargs:
        raise TypeError(
            f"{name_of(ufunc)} cannot write a Tensor into an array (out=..., or an in-place operator such as "
            "array += tensor): the gradient would be lost. Write the result to a new name: array = array + tensor."
        )
    return _call(ufunc, inputs, kwargs)


def call_function(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``__array_function__`` answers."""
    return _call(function, args, kwargs)


def _call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if function not in SPELLINGS:
        raise TypeError(_unsupported(name_of(function)))
    try:
        return SPELLINGS[function](*args, **kwargs)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        name = str(error).split("argument ")[-1]
        raise TypeError(f"{name_of(function)} on a Tensor does not take the argument {name}") from None


def _unsupported(name: str) -> str:
    supported = sorted({name_of(f) for f in SPELLINGS})
    near = difflib.get_close_matches(name, supported, n=3, cutoff=0.5)
    nearest = f"The nearest that do: {', '.join(near)}. " if near else f"Those that do: {', '.join(supported)}. "
    return (
        f"{name} does not work on a Tensor: its gradient is not known. {nearest}"
        "To leave the gradient behind on purpose, give it the plain array t.data."
    )


def name_of(function: Any) -> str:
    """As a user writes it: np.fft.fft."""
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module}.{function.__name__}".replace("numpy.", "np.", 1)
