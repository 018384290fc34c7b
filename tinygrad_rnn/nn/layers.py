"""Layers without a time of their own: Linear and Embedding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..engine.functions import embedding, linear
from ..engine.tensor import Tensor, tensors
from .init import Rng, check_sizes, generator, linear_bound, normal, uniform
from .module import Module, Parameter
from .shapes import check_features


class Linear(Module):
    """y = W x + b.

    Parameters: weight (out, in), bias (out,), drawn uniformly within 1 / sqrt(in) as PyTorch draws them.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, dtype: DTypeLike = np.float64, rng: Rng = None
    ) -> None:
        check_sizes(in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        rng, bound = generator(rng), linear_bound(in_features)
        self.weight = Parameter(uniform((out_features, in_features), bound, rng=rng, dtype=dtype))
        self.bias = Parameter(uniform((out_features,), bound, rng=rng, dtype=dtype)) if bias else None

    def forward(self, x: Any) -> Tensor:
        """x (..., in) -> (..., out). Raises ValueError where the last axis of x is not `in` long."""
        (x,) = tensors(x)
        check_features(self, x, self.weight, None)
        return linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + ("" if self.bias is not None else ", bias=False")


class Embedding(Module):
    """A table of vectors, looked up by whole numbers. What it gives is named x: it is the input of a recurrent cell.

    Parameters: weight (num_embeddings, embedding_dim), drawn from the standard normal distribution as in PyTorch.
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, *, dtype: DTypeLike = np.float64, rng: Rng = None
    ) -> None:
        check_sizes(num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = Parameter(normal((num_embeddings, embedding_dim), rng=rng, dtype=dtype))

    def forward(self, ids: Any) -> Tensor:
        """ids (...), whole numbers from 0 to num_embeddings - 1 -> (..., embedding_dim), named x.

        Raises TypeError for ids that are not whole numbers and IndexError for ids that are not in the table.
        """
        try:
            return embedding(self.weight, ids).named("x")
        except (TypeError, IndexError) as error:
            raise type(error)(f"{self!r}: {error}") from error

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}"
