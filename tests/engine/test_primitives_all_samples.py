"""Every check, on every sample of every primitive: values, derivatives of both orders, and the laws of the rules."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine.checks import CHECKS, close, slots
from tests.engine.samples import OPERATIONS, node_of, samples_of


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_sample_passes(check, name):
    for sample in samples_of(name):
        try:
            check(sample)
        except Exception as error:
            error.add_note(f"in the sample: {sample}")
            raise


@pytest.mark.parametrize("name", OPERATIONS)
def test_float32_agrees_with_float64(name):
    """The same rule in single precision: the same numbers, to its precision, in its dtype."""
    for sample in samples_of(name):
        if sample.primitive == "astype" or "float64" in sample.note or "ndarray" in sample.note:
            continue  # these are asked to give float64
        y, exact = node_of(sample, np.float32), node_of(sample)
        close(y.value, exact.value, 3e-6)
        if not y.requires_grad:
            continue
        for found, right in zip(gradients(y), gradients(exact), strict=True):
            assert found.dtype == np.float32, str(sample)
            close(found, right, 3e-6)


def gradients(y):
    """By every input, of the sum of y, by a sweep on arrays and by one on Tensors."""
    xs = [x for _, x in slots(y)]
    return tg.vjp(y, xs, np.ones(y.shape)) + [g.data for g in tg.vjp(y, xs, np.ones(y.shape), create_graph=True)]
