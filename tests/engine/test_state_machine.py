"""Tensor as a state machine: any sequence of making, computing, differentiating and replacing, against a naive model.

The model carries every Jacobian forward, as full matrices, and knows nothing of tapes: a value is an array, its
derivatives by each leaf, and the versions of the leaves that it was computed from.

The quick size is 120 runs of 50 steps, the full size 500 runs of 100 steps.
"""

import time
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import tinygrad_rnn as tg
from tinygrad_rnn.engine.annotate import HERE

SIZE = 3
NUMBERS = st.lists(st.integers(-8, 8).map(lambda n: n / 4), min_size=SIZE, max_size=SIZE)
PICK = st.integers(0, 10_000)  # made into a choice by `pick`


class Modelled:
    """A tensor and what the model knows of it."""

    def __init__(self, tensor, value, jacobians=None, used=(), leaf=False):
        self.tensor = tensor
        self.value = value  # (SIZE,)
        self.jacobians = jacobians or {}  # leaf -> (SIZE, SIZE), for what is recorded
        self.used = frozenset(used)  # (leaf, version) of every leaf that the record relies on
        self.leaf = leaf
        self.version = 0
        self.requires_grad = tensor.requires_grad
        self.grad = None

    @property
    def recorded(self):
        return self.requires_grad if self.leaf else bool(self.jacobians)

    def derivatives(self):
        if self.leaf:
            return {self: np.eye(SIZE)} if self.requires_grad else {}
        return self.jacobians

    def relied_on(self):
        return {(self, self.version)} if self.leaf else self.used


UNARY = {
    "tanh": (lambda x: x.tanh(), np.tanh, lambda x: np.diag(1 - np.tanh(x) ** 2)),
    "sin, by NumPy": (np.sin, np.sin, lambda x: np.diag(np.cos(x))),
    "reversed": (lambda x: x[::-1], lambda x: x[::-1], lambda x: np.eye(SIZE)[::-1]),
    "gathered": (lambda x: x[[2, 0, 2]], lambda x: x[[2, 0, 2]], lambda x: np.eye(SIZE)[[2, 0, 2]]),
    "sum, spread": (
        lambda x: x.sum().broadcast_to(SIZE),
        lambda x: np.full(SIZE, x.sum()),
        lambda x: np.ones((SIZE, SIZE)),
    ),
    "times a matrix": (lambda x: x @ MATRIX, lambda x: x @ MATRIX, lambda x: MATRIX.T),
    "used four times": (
        lambda x: x * x + x + x.sin(),
        lambda x: x * x + x + np.sin(x),
        lambda x: np.diag(2 * x + 1 + np.cos(x)),
    ),
    "named": (lambda x: x.named("a").named("b"), lambda x: x, lambda x: np.eye(SIZE)),
    "reshaped": (lambda x: x.reshape(SIZE, 1).T.reshape(SIZE), lambda x: x, lambda x: np.eye(SIZE)),
    "clipped": (lambda x: x.clip(-1.1, 1.1), lambda x: np.clip(x, -1.1, 1.1), lambda x: np.diag(abs(x) <= 1.1) * 1.0),
}
BINARY = {
    "add": (lambda a, b: a + b, np.add, lambda a, b: (np.eye(SIZE), np.eye(SIZE))),
    "multiply": (lambda a, b: np.multiply(a, b), np.multiply, lambda a, b: (np.diag(b), np.diag(a))),
    "half the difference": (
        lambda a, b: (a - b) / 2,
        lambda a, b: (a - b) / 2,
        lambda a, b: (np.eye(SIZE) / 2, -np.eye(SIZE) / 2),
    ),
    "stacked and gathered": (
        lambda a, b: tg.stack([a, b], axis=1)[:, [1, 1]].mean(axis=1),
        lambda a, b: b,
        lambda a, b: (np.zeros((SIZE, SIZE)), np.eye(SIZE)),
    ),
    "where": (
        lambda a, b: tg.where(a > 0, a, b),
        lambda a, b: np.where(a > 0, a, b),
        lambda a, b: (np.diag(a > 0) * 1.0, np.diag(a <= 0) * 1.0),
    ),
}
MATRIX = np.array([[0.5, -0.25, 0.0], [0.25, 0.5, -0.5], [0.0, 0.75, 0.25]])


class TensorMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.all = []
        self.picks = 0
        self.modes = []  # the no_grad blocks that are open, innermost last
        self.recording = True

    def pick(self, k, among=None):
        """One of the tensors. Hypothesis likes small numbers; mixed with a count they are as good as random."""
        self.picks += 1
        among = self.all if among is None else among
        return among[zlib.crc32(b"%d %d" % (k, self.picks)) % len(among)]

    def keep(self, modelled):
        self.all.append(modelled)
        if len(self.all) > 14:
            self.all.pop(0)

    def leaves(self):
        return [m for m in self.all if m.leaf]

    def recorded(self):
        """What can be differentiated: computed tensors if there are any, since leaves are dull."""
        found = [m for m in self.all if m.recorded]
        return [m for m in found if not m.leaf] or found

    @initialize(values=st.lists(NUMBERS, min_size=3, max_size=3))
    def begin_with_three_leaves(self, values):
        for k, one in enumerate(values):
            self.make_a_leaf([v + 0.3 for v in one], requires_grad=k < 2, as_list=True)
        self.compute(k=0, number=6)

    @rule(values=NUMBERS, requires_grad=st.booleans(), as_list=st.booleans())
    def make_a_leaf(self, values, requires_grad, as_list):
        given = values if as_list else np.array(values)
        tensor = tg.Tensor(given, requires_grad=requires_grad)
        given[0] = 99.0  # the tensor has its own copy
        self.keep(Modelled(tensor, np.array([tensor.data[0], *values[1:]]), leaf=True))
        assert tensor.data[0] != 99.0

    @precondition(lambda self: self.all)
    @rule(k=PICK, number=st.integers(1, 6))
    def compute(self, k, number):
        for _ in range(number):
            a, b, name = self.pick(k), self.pick(k), self.pick(k, sorted(UNARY | BINARY))
            if name in UNARY:
                ours, value, jacobian = UNARY[name]
                self.computed(ours(a.tensor), value(a.value), [(a, jacobian(a.value))])
            else:
                ours, value, jacobians = BINARY[name]
                by_a, by_b = jacobians(a.value, b.value)
                self.computed(ours(a.tensor, b.tensor), value(a.value, b.value), [(a, by_a), (b, by_b)])

    @precondition(lambda self: self.all)
    @rule(k=PICK, values=NUMBERS)
    def compute_with_an_array(self, k, values):
        x, array = self.pick(k), np.array(values)
        result = array * x.tensor + 1.0
        array[...] = 99.0  # it was copied on capture
        self.computed(result, np.array(values) * x.value + 1.0, [(x, np.diag(values))])

    def computed(self, tensor, value, parts):
        if np.abs(value).max() > 1e3:
            return
        jacobians, used = {}, set()
        if self.recording and any(x.recorded for x, _ in parts):
            for x, local in parts:
                used |= x.relied_on() if x.leaf or x.recorded else set()
                for leaf, jacobian in x.derivatives().items():
                    jacobians[leaf] = jacobians.get(leaf, 0.0) + local @ jacobian
        modelled = Modelled(tensor, value, jacobians, used)
        assert tensor.requires_grad == modelled.recorded
        self.keep(modelled)

    @precondition(lambda self: self.all)
    @rule(k=PICK)
    def detach(self, k):
        x = self.pick(k)
        self.keep(Modelled(x.tensor.detach(), x.value, leaf=True))

    @precondition(lambda self: len(self.modes) < 3)
    @rule(recording=st.sampled_from([True, True, False]))
    def open_a_mode(self, recording):
        mode = tg.no_grad(recording=recording)
        mode.__enter__()
        self.modes.append((mode, self.recording))
        self.recording = recording

    @precondition(lambda self: self.modes)
    @rule()
    def close_the_innermost_mode(self):
        mode, self.recording = self.modes.pop()
        mode.__exit__(None, None, None)

    @precondition(lambda self: self.leaves())
    @rule(k=PICK, values=NUMBERS)
    def replace_data(self, k, values):
        leaf = self.pick(k, self.leaves())
        leaf.tensor.data = values
        leaf.value, leaf.version = np.array(values), leaf.version + 1

    @precondition(lambda self: self.leaves())
    @rule(k=PICK, wanted=st.booleans())
    def switch_requires_grad(self, k, wanted):
        leaf = self.pick(k, self.leaves())
        if wanted and not leaf.requires_grad:
            leaf.version += 1  # what was computed from it before is not all on the tape
        leaf.tensor.requires_grad = wanted
        leaf.requires_grad = wanted

    @precondition(lambda self: self.all)
    @rule(k=PICK)
    def write_into_data(self, k):
        with pytest.raises(ValueError, match="read-only"):
            self.pick(k).tensor.data[0] = 99.0

    def expected(self, m, seed):
        """(leaf -> gradient, at the values of the forward pass; the leaves that have changed since)."""
        changed = {leaf for leaf, version in m.used if leaf.version != version}
        return {leaf: seed @ j for leaf, j in m.derivatives().items() if leaf.requires_grad}, changed

    @precondition(lambda self: self.recorded())
    @rule(k=PICK, seed=NUMBERS, keep=st.sampled_from(["leaves", "leaves", "named", "all"]))
    def backward(self, k, seed, keep):
        m = self.pick(k, self.recorded())
        want, changed = self.expected(m, np.array(seed))
        if changed:
            with pytest.raises(RuntimeError, match="replaced"):
                m.tensor.backward(seed, keep=keep)
            return
        m.tensor.backward(seed, keep=keep)
        for leaf, g in want.items():
            leaf.grad = g if leaf.grad is None else leaf.grad + g

    @precondition(lambda self: self.recorded() and self.leaves())
    @rule(k=PICK, l=PICK, seed=NUMBERS, batch=st.booleans())
    def vjp(self, k, l, seed, batch):
        m = self.pick(k, self.recorded())
        leaf = self.pick(l, self.leaves())
        want, changed = self.expected(m, np.array(seed))
        v = np.stack([seed, seed]) if batch else seed
        try:
            found = tg.vjp(m.tensor, leaf.tensor, v)
        except RuntimeError as error:
            # What has changed matters only on the paths from this leaf; an older part of the tape is not visited.
            refused = "replaced" in str(error) and changed
            if not refused and leaf in want:
                raise
            return
        assert leaf in want
        assert leaf not in changed
        np.testing.assert_allclose(found, np.stack([want[leaf]] * 2) if batch else want[leaf], rtol=1e-9, atol=1e-9)
        found[...] = 99.0  # ours to write to

    @precondition(lambda self: self.recorded())
    @rule(k=PICK)
    def jacobians(self, k):
        m = self.pick(k, self.recorded())
        if self.expected(m, np.zeros(SIZE))[1]:
            return
        for leaf, jacobian in m.derivatives().items():
            if leaf.requires_grad:
                np.testing.assert_allclose(tg.jacobian(m.tensor, leaf.tensor), jacobian, rtol=1e-9, atol=1e-9)
                np.testing.assert_allclose(
                    tg.jvp(m.tensor, leaf.tensor, np.eye(SIZE)).T, jacobian, rtol=1e-9, atol=1e-9
                )

    @precondition(lambda self: self.leaves())
    @rule(k=PICK)
    def zero_grad(self, k):
        leaf = self.pick(k, self.leaves())
        leaf.tensor.grad = None
        leaf.grad = None

    @precondition(lambda self: self.all)
    @rule(k=PICK)
    def forget(self, k):
        self.all.remove(self.pick(k))

    @invariant()
    def values_and_gradients_are_those_of_the_model(self):
        assert HERE.get().recording == self.recording
        for m in self.all:
            np.testing.assert_allclose(m.tensor.data, m.value, rtol=1e-12, atol=1e-12)
            assert not m.tensor.data.flags.writeable
            if m.leaf:
                assert m.tensor.requires_grad == m.requires_grad
                if m.grad is None:
                    assert m.tensor.grad is None
                else:
                    np.testing.assert_allclose(m.tensor.grad, m.grad, rtol=1e-9, atol=1e-9)

    def teardown(self):
        while self.modes:
            self.modes.pop()[0].__exit__(None, None, None)


# Without shrinking, which takes minutes: a failure is shown as it was found.
SETTINGS = settings(
    deadline=None,
    database=None,
    derandomize=True,
    print_blob=False,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_any_sequence_of_uses_agrees_with_the_naive_model():
    run_state_machine_as_test(TensorMachine, settings=settings(SETTINGS, max_examples=120, stateful_step_count=50))


@pytest.mark.full
def test_five_hundred_runs_of_a_hundred_steps(capsys):
    start = time.perf_counter()
    run_state_machine_as_test(TensorMachine, settings=settings(SETTINGS, max_examples=500, stateful_step_count=100))
    with capsys.disabled():
        print(f"\nrow 14: 500 runs x 100 steps agree with the model, {time.perf_counter() - start:.0f} s")
