"""Every path, one by one: the oracle of the routes. For small graphs only.

The words of a path are matched by Python's own `re`, after every landmark was spelled as one character; so nothing of
the package's expressions, automata or leading axes is used.
"""

import itertools
import re

import numpy as np


def paths(losses, source):
    """-> (landmarks, crossings, contribution) of every path; a landmark is (name, step, whether it crosses)."""
    return [(*words(edges, source), contribution) for edges, contribution in walks(losses, source)]


def walks(losses, source):
    """-> (its edges from the source to the loss, as (producer, consumer, slot); contribution) of every path."""
    found = []

    def walk(node, cotangent, edges):
        if node is source:
            found.append((edges, cotangent))
            return
        if node.primitive is None:
            return
        for slot, x in enumerate(node.inputs):
            rule = node.primitive.rules[slot]
            if rule is None or not x.tracked:
                continue
            part = rule(cotangent, node.value, *[i.value for i in node.inputs], **node.params)
            while part.ndim > x.ndim:
                part = part.sum(axis=0)
            for axis in range(x.ndim):
                if x.shape[axis] == 1 != part.shape[axis]:
                    part = part.sum(axis=axis, keepdims=True)
            walk(x, part, [(x, node, slot), *edges])

    for loss in losses:
        walk(loss, np.ones(loss.shape), [])
    return found


def words(edges, source):
    """The landmarks and the crossings of a path."""
    landmarks, crossings = [], []
    for x, node, _ in edges:
        a, b = x.place.step, node.place.step
        crosses = a is not None and b is not None and a != b
        mark = (x.name or "_", a, crosses)
        if x.name and x is not source:
            landmarks.append(mark)
        if crosses:
            crossings.append(mark)
    return landmarks, crossings


def ancestors(node):
    """All that a tensor was computed from, and the tensor itself."""
    seen, waiting = {}, [node]
    while waiting:
        at = waiting.pop()
        if at.index not in seen:
            seen[at.index] = at
            waiting.extend(at.inputs)
    return seen.values()


def gradient(found, belongs, shape):
    """The sum of the contributions of the paths that belong."""
    total = np.zeros(shape)
    for landmarks, crossings, part in found:
        if belongs(landmarks, crossings):
            total = total + part
    return total


def matches(pattern, marks):
    """Whether the names of the marks, one character each, match a pattern of Python's `re`."""
    return re.fullmatch(pattern, "".join(name[-1] for name, _, _ in marks)) is not None


def subsets(items):
    return itertools.chain.from_iterable(itertools.combinations(items, k) for k in range(len(items) + 1))
