"""Second order: gradients of gradients of random programs, Hessians, and identities that they obey."""

import collections
import time
import warnings

import autograd
import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine import oracle
from tests.engine.libraries import AUTOGRAD, NUMPY, TINYGRAD
from tests.engine.operands import draw
from tests.engine.programs import loss_of
from tests.engine.test_random_programs import described, difference

LIMIT = 1e-9


def leaf(data):
    return tg.Tensor(data, requires_grad=True)


def ours(program, directions):
    """The Hessian times the directions, by a sweep over the recorded first sweep."""
    xs = [leaf(x) for x in program.inputs]
    slopes = tg.grad(loss_of(program, TINYGRAD, xs), xs, create_graph=True, allow_unused=True)
    terms = [(g * d).sum() for g, d in zip(slopes, directions, strict=True) if g is not None]
    along = sum(terms, tg.Tensor(0.0))
    found = tg.grad(along, xs, allow_unused=True) if along.requires_grad else [None] * len(xs)
    return [np.zeros(x.shape) if g is None else g for g, x in zip(found, xs, strict=True)]


def autograds(program, directions):
    def along(xs):
        slopes = autograd.grad(lambda xs: loss_of(program, AUTOGRAD, xs))(xs)
        return sum(autograd.numpy.sum(g * d) for g, d in zip(slopes, directions, strict=True))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of autograd, about outputs that do not depend on inputs
        return autograd.grad(along)(list(program.inputs))


def compare(seeds):
    seen: collections.Counter[str] = collections.Counter()
    worst: dict[str, float] = dict.fromkeys(["oracle", "autograd"], 0.0)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        program = draw(rng, NUMPY)
        directions = [rng.uniform(-1.0, 1.0, x.shape) for x in program.inputs]
        mine = ours(program, directions)
        found = {"oracle": difference(mine, oracle.hessian_times(program, list(program.inputs), directions))}
        try:
            found["autograd"] = difference(mine, autograds(program, directions))
        except (TypeError, ValueError, AttributeError) as error:  # the oracle alone has checked what autograd cannot do
            seen[f"autograd raised {type(error).__name__}: {str(error)[:60]}"] += 1
        for name, by in found.items():
            assert by <= LIMIT, f"seed {seed}: {name} differs by {by:.1e} in\n{program}"
            worst[name] = max(worst[name], by)
            seen[name] += 1
    return seen, worst


def test_second_derivatives_of_random_programs_agree():
    seen, _ = compare(range(500))
    assert seen["oracle"] == 500
    assert seen["autograd"] > 450


@pytest.mark.full
@pytest.mark.parametrize("part", range(2))
def test_second_derivatives_of_5000_random_programs_agree(part, capsys):
    start = time.perf_counter()
    seen, worst = compare(range(30_000_000 + part * 2500, 30_000_000 + (part + 1) * 2500))
    assert seen["oracle"] == 2500
    assert seen["autograd"] > 2250
    with capsys.disabled():
        print(f"\nrow 2, part {part + 1} of 2, 0 exceptions, {time.perf_counter() - start:.0f} s")
        print(described(seen, worst))
