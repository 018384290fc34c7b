"""What to do where NumPy has a function that does not work on a Tensor: by what it means."""

from __future__ import annotations

from collections.abc import Iterable

# The call, and what to write for it on Tensors x and y.
INSTEAD = {
    "np.ravel(x)": "x.reshape(-1)",
    "np.atleast_1d(x)": "x.reshape(-1) if x.ndim == 0 else x",
    "np.atleast_2d(x)": "x.reshape(1, -1) if x.ndim < 2 else x",
    "np.matrix_transpose(x)": "x.swapaxes(-1, -2)",
    "np.linalg.matrix_transpose(x)": "x.swapaxes(-1, -2)",
    "np.rollaxis(x, 1)": "x.moveaxis(1, 0)",
    "np.diagonal(x)": "tg.einsum('ii->i', x)",
    "np.diag(x)": "tg.einsum('ii->i', x)  # of a matrix",
    "np.trace(x)": "tg.einsum('ii', x)",
    "np.tril(x)": "tg.where(np.tril(np.ones(x.shape)), x, 0.0)",
    "np.triu(x)": "tg.where(np.triu(np.ones(x.shape)), x, 0.0)",
    "np.column_stack([x, y])": "tg.concatenate([x, y], axis=1)",
    "np.dstack([x, y])": "tg.stack([x, y], axis=2)",
    "np.append(x, y)": "tg.concatenate([x.reshape(-1), y.reshape(-1)])",
    "np.array_split(x, 2)": "tg.split(x, [1])",
    "np.hsplit(x, 2)": "tg.split(x, 2, axis=1)",
    "np.vsplit(x, 2)": "tg.split(x, 2)",
    "np.tile(x, 2)": "tg.concatenate([x, x], axis=-1)",
    "np.repeat(x, 2, 0)": "x[np.repeat(np.arange(len(x)), 2)]",
    "np.roll(x, 1, 0)": "tg.concatenate([x[-1:], x[:-1]])",
    "np.flipud(x)": "x[::-1]",
    "np.fliplr(x)": "x[:, ::-1]",
    "np.take(x, [1, 0], 0)": "x[[1, 0]]",
    "np.take_along_axis(x, k, 0)": "x[k, np.arange(x.shape[1])]",
    "np.delete(x, 0, 0)": "x[1:]",
    "np.compress([0, 1], x, 0)": "x[[False, True]]",
    "np.extract(x > 1.0, x)": "x[x.data > 1.0]",
    "np.select([x > 1.0], [x], y)": "tg.where(x.data > 1.0, x, y)",
    "np.unstack(x)": "list(x)",
    "np.diff(x)": "x[..., 1:] - x[..., :-1]",
    "np.sort(x, 0)": "x[np.argsort(x.data, 0), np.arange(x.shape[1])]  # a vector: x[np.argsort(x.data)]",
    "np.prod(x)": "tg.exp(tg.log(x).sum())  # of positive numbers",
    "np.cumprod(x)": "tg.exp(tg.log(x).cumsum())  # of positive numbers",
    "np.cumulative_sum(x, axis=0)": "x.cumsum(axis=0)",
    "np.average(x, None, y)": "(x * y).sum() / y.sum()",
    "np.ptp(x)": "x.max() - x.min()",
    "np.nansum(x)": "x[~np.isnan(x.data)].sum()",
    "np.nanmean(x)": "x[~np.isnan(x.data)].mean()",
    "np.nanvar(x)": "x[~np.isnan(x.data)].var()",
    "np.nanstd(x)": "x[~np.isnan(x.data)].std()",
    "np.nanmax(x)": "x[~np.isnan(x.data)].max()",
    "np.nanmin(x)": "x[~np.isnan(x.data)].min()",
    "np.nan_to_num(x)": "tg.where(np.isfinite(x.data), x, 0.0)",
    "np.linalg.norm(x)": "x.square().sum().sqrt()",
    "np.linalg.vector_norm(x)": "x.square().sum().sqrt()",
    "np.linalg.matmul(x, y)": "x @ y",
    "np.linalg.outer(x[0], y[0])": "tg.outer(x[0], y[0])",
    "np.linalg.multi_dot([x, y])": "x @ y",
    "np.linalg.matrix_power(x, 2)": "x @ x",
    "np.inner(x, y)": "tg.einsum('ik,jk->ij', x, y)",
    "np.vdot(x, y)": "(x * y).sum()",
    "np.vecdot(x, y)": "(x * y).sum(axis=-1)",
    "np.linalg.vecdot(x, y)": "(x * y).sum(axis=-1)",
    "np.tensordot(x, y, 1)": "tg.einsum('ij,jk->ik', x, y)",
    "np.linalg.tensordot(x, y, axes=1)": "tg.einsum('ij,jk->ik', x, y)",
    "np.kron(x, y)": "tg.einsum('ij,kl->ikjl', x, y).reshape(4, 4)",
    "np.add.reduce(x)": "x.sum(axis=0)",
    "np.add.accumulate(x)": "x.cumsum(axis=0)",
    "np.maximum.reduce(x)": "x.max(axis=0)",
    "np.minimum.reduce(x)": "x.min(axis=0)",
    "np.multiply.outer(x, y)": "tg.einsum('ij,kl->ijkl', x, y)",
    "np.positive(x)": "x",
    "np.copy(x)": "x",
    "np.real(x)": "x",
    "np.fabs(x)": "abs(x)",
    "np.reciprocal(x)": "1.0 / x",
    "np.float_power(x, y)": "x ** y",
    "np.cbrt(x)": "tg.sign(x) * abs(x) ** (1 / 3)",
    "np.hypot(x, y)": "(x * x + y * y).sqrt()",
    "np.exp2(x)": "2.0 ** x",
    "np.log2(x)": "tg.log(x) / np.log(2.0)",
    "np.log10(x)": "tg.log(x) / np.log(10.0)",
    "np.logaddexp(x, y)": "tg.stack([x, y]).logsumexp(axis=0)",
    "np.tan(x)": "tg.sin(x) / tg.cos(x)",
    "np.sinh(x)": "(tg.exp(x) - tg.exp(-x)) / 2",
    "np.cosh(x)": "(tg.exp(x) + tg.exp(-x)) / 2",
    "np.degrees(x)": "x * (180 / np.pi)",
    "np.rad2deg(x)": "x * (180 / np.pi)",
    "np.radians(x)": "x * (np.pi / 180)",
    "np.deg2rad(x)": "x * (np.pi / 180)",
    "np.fmax(x, y)": "tg.maximum(x, y)",
    "np.fmin(x, y)": "tg.minimum(x, y)",
    "np.zeros_like(x)": "np.zeros_like(x.data)",
    "np.ones_like(x)": "np.ones_like(x.data)",
    "np.empty_like(x)": "np.empty_like(x.data)",
    "np.full_like(x, 2.0)": "np.full_like(x.data, 2.0)",
}
_OTHERS = {call.split("(")[0]: (call, other) for call, other in INSTEAD.items()}

_STEPWISE = """
    all allclose any argmax argmin argpartition argsort argwhere array_equal array_equiv around bincount
    bitwise_and bitwise_or bitwise_xor ceil
    count_nonzero digitize fix flatnonzero floor floor_divide heaviside histogram isclose isfinite isin isinf
    isnan iscomplexobj isneginf isposinf isreal isrealobj lexsort logical_and logical_not logical_or logical_xor
    nanargmax nanargmin nonzero result_type rint round searchsorted shares_memory signbit trunc unique
"""
# What moves in jumps or not at all has no gradient to keep.
WITHOUT_GRADIENT = {f"np.{name}" for name in _STEPWISE.split()}

# These work, but do not keep a gradient.
_ABOUT_FORM = {"np.shape", "np.ndim", "np.size"}
_COMPARISONS = {"np.greater", "np.greater_equal", "np.less", "np.less_equal", "np.equal", "np.not_equal"}


def unsupported(name: str, supported: Iterable[str]) -> str:
    """Why a NumPy function does not work, and what does."""
    if name in WITHOUT_GRADIENT:
        return f"it has no gradient. Give it the plain array: {name}(t.data)."
    if name in _OTHERS:
        call, other = _OTHERS[name]
        return f"its gradient is not known. For {call} write {other}."
    listed = sorted(f.removeprefix("np.") for f in {*supported} - _ABOUT_FORM - _COMPARISONS)
    return (
        f"its gradient is not known. Those that do: {', '.join(listed)}. To leave the gradient behind on purpose, give "
        "it the plain array t.data."
    )
