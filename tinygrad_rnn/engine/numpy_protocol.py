"""NumPy's functions on Tensors: ``np.tanh(t)`` is ``t.tanh()``, recorded like it.

NumPy asks an operand that is not its own what a function means for it. What is registered here is answered; what is
not raises a TypeError that names the function, so that a gradient is never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from .numpy_advice import unsupported

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
    if kwargs:
        kwargs = {name: value for name, value in kwargs.items() if not _is_without_effect(name, value)}
    try:
        return SPELLINGS[function](*args, **kwargs)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        name = str(error).split("argument ")[-1]
        raise TypeError(f"{name_of(function)} on a Tensor does not take the argument {name}") from None


def _is_without_effect(name: str, value: Any) -> bool:
    """Whether NumPy computes the same without this keyword, which code that wraps it passes on."""
    return (name in ("out", "dtype") and value is None) or (name == "order" and value == "C") or name == "optimize"


def _unsupported(name: str) -> str:
    return f"{name} does not work on a Tensor: {unsupported(name, map(name_of, SPELLINGS))}"


def name_of(function: Any) -> str:
    """As a user writes it: np.fft.fft."""
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module}.{function.__name__}".replace("numpy.", "np.", 1)
