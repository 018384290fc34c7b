"""The spectrum of state Jacobians: singular values of ds_T/ds_{T-lag} by lag, with the bounds on the largest.

The product is rescaled as it grows, so that 10^-400 is not 0. Its small singular values are known only as far as
rounding allows, to about n eps of the largest: what lies below is not drawn, since it would be noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...engine.tensor import Tensor
from ...trace import StateJacobians
from ..text.labels import visible
from .plot import Plot
from .powers import power_ticks, ten_to, written_powers
from .style import Canvas, begin, finish, key, labelled, whole_ticks, words

Array = npt.NDArray[Any]
MOST_LINES = 48  # singular values that are drawn, spread over all


@dataclass(frozen=True, slots=True)
class Spread:
    """Of the products ds_T/ds_{T-lag}, for lag 0, 1, ..., T; all as powers of ten.

    values: (lags, n) singular values, largest first; -inf where exactly 0, nan where below rounding (not determined).
    product_of_norms: (lags,), at least as large as the largest value.
    """

    values: Array
    product_of_norms: Array


def spread(jacobians: StateJacobians) -> Spread:
    """The singular values of all products that end at the last state."""
    n = jacobians.factors.shape[-1]
    product, scale = np.eye(n), 0.0
    values = [np.zeros(n)]
    for factor in jacobians.factors[::-1]:
        product = product @ factor
        largest = float(np.abs(product).max())
        if not np.isfinite(largest):
            raise ValueError(
                "these Jacobians are not finite, so they have no singular values: look for nan in the states"
            )
        if largest > 0:
            product, scale = product / largest, scale + np.log10(largest)
        found = np.linalg.svd(product, compute_uv=False)
        with np.errstate(divide="ignore"):
            exponents = np.log10(found) + scale
        noise = (found > 0) & (found <= found[0] * n * np.finfo(np.float64).eps)
        values.append(np.where(noise, np.nan, exponents) if largest > 0 else np.full(n, -np.inf))
    with np.errstate(divide="ignore"):
        norms = np.log10(jacobians.norms[::-1])
    return Spread(np.array(values), np.concatenate([[0.0], np.cumsum(norms)]))


def plot_jacobians(
    jacobians: StateJacobians | Mapping[str, StateJacobians],
    *,
    w: Tensor | Array | None = None,
    gamma: float = 1.0,
    theme: str = "light",
    size: str = "slide",
    title: str | None = None,
) -> Plot:
    """Singular values of ds_T/ds_{T-lag} by lag: how far a change of each direction of the state still reaches.

    jacobians: of `tg.state_jacobians(states)`; several by name are drawn beside each other.
    w, gamma: for one vanilla RNN, its recurrent weight and the largest slope of its nonlinearity (1 for tanh), as for
        `StateJacobians.bounds`: the bound (sigma gamma)^lag is drawn too, sigma the largest singular value of w.
    theme: "light" or "dark"; size: "slide" or "paper".
    """
    by_name = {"": jacobians} if isinstance(jacobians, StateJacobians) else jacobians
    if not isinstance(by_name, Mapping) or not all(isinstance(one, StateJacobians) for one in by_name.values()):
        raise TypeError("plot_jacobians takes what tg.state_jacobians(states) gives, or a dict of such by name")
    found = {str(name): spread(one) for name, one in by_name.items()}
    sigma = None if w is None else float(np.linalg.norm(w.data if isinstance(w, Tensor) else w, 2)) * gamma
    canvas = begin(theme, size, 1, len(found), sharey=True)
    low, high = _limits(found, sigma)
    for k, (name, one) in enumerate(found.items()):
        axes = canvas.axes[0, k]
        words(
            canvas,
            axes,
            visible(name) if name else "",
            "lag: steps back from the last state" if len(found) < 3 else "lag",
            "" if k else "singular values",
        )
        _draw(canvas, axes, one, sigma, k)
        _draw_zeros(canvas, axes, one, low, high)
        ticks = power_ticks(low, high)
        axes.set_yticks(ticks, written_powers(ticks))
        axes.set_ylim(low - 0.1 * (high - low), high + 0.05 * (high - low))
        whole_ticks(axes.xaxis)
    key(canvas, canvas.axes[0, 0], labelled(canvas.axes[0, 0]), 0.9)
    heading = title or "How far a change of the state reaches"
    return finish(canvas, heading, _in_words(found, sigma), _notes(found))


def _limits(found: Mapping[str, Spread], sigma: float | None) -> tuple[float, float]:
    drawn = [one.values[np.isfinite(one.values)] for one in found.values()]
    tops = [one.product_of_norms[np.isfinite(one.product_of_norms)] for one in found.values()]
    low, high = min(float(v.min()) for v in drawn), max(float(v.max()) for v in (*drawn, *tops))
    if sigma is not None and sigma > 0:
        high = max(high, *((len(one.values) - 1) * np.log10(sigma) for one in found.values()))
    return low, max(high, low + 0.5)


def _draw(canvas: Canvas, axes: Any, one: Spread, sigma: float | None, k: int) -> None:
    lags = np.arange(len(one.values))
    n = one.values.shape[1]
    finite = np.where(np.isfinite(one.values), one.values, np.nan)
    colour = canvas.theme.series[1]
    shown = np.unique(np.linspace(0, n - 1, min(n, MOST_LINES)).round().astype(int))
    for k in shown[:0:-1]:
        axes.plot(lags, finite[:, k], color=colour, linewidth=canvas.format.line * 0.4, alpha=0.55, marker="")
    marker = canvas.format.marker * 0.8 if len(lags) <= 60 else 0.0
    axes.plot(
        lags, finite[:, 0], color=colour, linewidth=canvas.format.line * 1.2, marker="s", markersize=marker,
        label="largest: the norm",
    )  # fmt: skip
    bound = np.where(np.isfinite(one.product_of_norms), one.product_of_norms, np.nan)
    look = {"linewidth": canvas.format.line, "color": canvas.theme.series[0]}
    axes.plot(lags, bound, linestyle="--", label="product of the factors' norms", **look)
    if sigma is not None and sigma > 0:
        axes.plot(lags, lags * np.log10(sigma), linestyle=":", label=f"(σγ)^lag, σγ = {sigma:.3g}", **look)
    if n > 1:
        axes.plot([], [], color=colour, linewidth=canvas.format.line * 0.4, alpha=0.55, label="the others")


def _draw_zeros(canvas: Canvas, axes: Any, one: Spread, low: float, high: float) -> None:
    lags = np.flatnonzero(np.isneginf(one.values[:, 0]))
    if lags.size:
        axes.axvspan(lags[0] - 0.5, len(one.values) - 0.5, color=canvas.theme.grid, zorder=0, linewidth=0)
        axes.text(
            lags[0],
            (low + high) / 2,
            " exactly 0 from here on",
            color=canvas.theme.ink,
            fontsize=canvas.format.text * 0.85,
        )


def _notes(found: Mapping[str, Spread]) -> list[str]:
    notes = [
        "The norm of a product is at most the product of the norms; how far below it lies is how much directions turn."
    ]
    if any(np.isnan(one.values).any() for one in found.values()):
        notes.append("Lines end where a singular value is too small beside the largest to be known (rounding).")
    if any(np.isneginf(one.values).any() for one in found.values()):
        notes.append("Singular values that are exactly 0 have no place on this axis and are not drawn.")
    return notes


def _in_words(found: Mapping[str, Spread], sigma: float | None) -> str:
    text = "Singular values of the Jacobian of the last state by an earlier one, by lag."
    for name, one in found.items():
        last = len(one.values) - 1
        called = f"{name}: the" if name else "The"
        largest = one.values[last, 0]
        if np.isneginf(largest):
            text += f" {called} Jacobian is exactly 0 at lag {last}."
            continue
        text += (
            f" {called} largest falls from 1 at lag 0 to {ten_to(float(largest))} at lag {last}"
            if largest < 0
            else f" {called} largest grows from 1 at lag 0 to {ten_to(float(largest))} at lag {last}"
        )
        text += f"; the product of norms there is {ten_to(float(one.product_of_norms[last]))}."
    if sigma is not None:
        text += f" The largest singular value of the weight times the largest slope is {sigma:.3g}."
    return text
