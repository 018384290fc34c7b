"""The English text of the lessons: the reference prose of Python's own `pydoc_data.topics`, as characters.

It is in every Python installation, so nothing is downloaded. It differs a little between Python versions: `fingerprint`
says which one this is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pydoc_data import topics
from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Text:
    """A text as numbers: `train` is its first 90 %, `test` the rest; `alphabet[id]` is the character."""

    alphabet: str
    train: Ids
    test: Ids
    fingerprint: str

    def encode(self, text: str) -> Ids:
        """The ids of the characters, shape (len(text),)."""
        return np.array([self.alphabet.index(c) for c in text], dtype=np.intp)


def load() -> Text:
    """All topics in alphabetical order; characters rarer than 1 in 20,000 become a space."""
    text = "\n\n".join(topics.topics[key] for key in sorted(topics.topics))
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:12]
    characters, ids, counts = np.unique(list(text), return_inverse=True, return_counts=True)
    common = characters[counts >= len(text) / 20_000]
    position = np.searchsorted(common, characters)
    is_common = np.isin(characters, common)
    lookup = np.where(is_common, position, np.searchsorted(common, " "))
    whole = lookup[ids].astype(np.intp)
    cut = len(whole) * 9 // 10
    return Text("".join(common), whole[:cut], whole[cut:], fingerprint)


def batches(ids: Ids, steps: int, batch: int, rng: np.random.Generator) -> Iterator[tuple[Ids, Ids]]:
    """Random excerpts for ever: (inputs, targets), each (steps, batch), where a target is the next character."""
    while True:
        starts = rng.integers(0, len(ids) - steps - 1, size=batch)
        excerpts = ids[starts[None, :] + np.arange(steps + 1)[:, None]]
        yield excerpts[:-1], excerpts[1:]


def ngram_bits(text: Text, longest: int = 4) -> list[float]:
    """Bits per character of n-gram models, n = 1 to `longest`, on the held-out text.

    An n-gram estimate is mixed with that of the (n-1)-gram by Witten and Bell's rule: a context that was followed by
    many different characters trusts its own counts less.
    """
    size = len(text.alphabet)
    estimate: npt.NDArray[Any] = np.full(len(text.test), 1.0 / size)
    bits = []
    for n in range(1, longest + 1):
        train, test = _ngrams(text.train, n, size), _ngrams(text.test, n, size)
        grams, counts = np.unique(train, return_counts=True)
        contexts, first, kinds = np.unique(grams // size, return_index=True, return_counts=True)
        seen = np.add.reduceat(counts, first)
        count = _look_up(grams, counts, test)
        total, different = _look_up(contexts, seen, test // size), _look_up(contexts, kinds, test // size)
        known = total > 0
        mixed = (count + different * estimate) / np.where(known, total + different, 1)
        estimate = np.where(known, mixed, estimate)
        bits.append(float(-np.log2(estimate).mean()))
    return bits


def _ngrams(ids: Ids, n: int, size: int) -> Ids:
    """Each character with the n-1 before it, as one number; before the start there is character 0."""
    padded = np.concatenate([np.zeros(n - 1, dtype=np.intp), ids])
    return np.sum([padded[k : k + len(ids)] * size ** (n - 1 - k) for k in range(n)], axis=0, dtype=np.intp)


def _look_up(keys: Ids, values: npt.NDArray[Any], wanted: Ids) -> npt.NDArray[Any]:
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
