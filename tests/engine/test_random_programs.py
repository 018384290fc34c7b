"""Random programs: values and gradients against HIPS autograd, a forward-mode oracle and, if installed, PyTorch."""

import collections
import importlib
import itertools
import time
import warnings

import autograd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tests.engine import oracle
from tests.engine.libraries import AUTOGRAD, NUMPY, RESPELLED, TINYGRAD
from tests.engine.operands import DRAWN, draw
from tests.engine.programs import Program, loss_of, values_of

LIMIT = 1e-10


def test_every_library_has_every_operation():
    for library in (TINYGRAD, NUMPY, AUTOGRAD, oracle.ORACLE):
        assert library.keys() == {*DRAWN, "weighted"}


def test_the_programs_have_what_they_are_said_to_have():
    programs = [draw(np.random.default_rng(seed), NUMPY) for seed in range(500)]
    values = [[np.asarray(v) for v in values_of(program, NUMPY, program.inputs)] for program in programs]
    steps = [step for program in programs for step in program.steps]
    assert {step.operation for step in steps} == DRAWN.keys()
    assert {len(program.steps) for program in programs} == set(range(1, 15))
    assert sum(any(v.size == 0 for v in run) for run in values) > 100
    assert sum(any(v.ndim == 0 for v in run) for run in values) > 100
    assert sum(len({*step.inputs}) < len(step.inputs) for step in steps) > 50  # one value in two slots
    assert sum(tie(program, run) for program, run in zip(programs, values, strict=True)) > 30


def tie(program: Program, values: list[np.ndarray]) -> bool:
    pairs = [step.inputs for step in program.steps if step.operation in ("maximum", "minimum")]
    return any(np.any(values[a] == values[b]) for a, b in pairs)


def ours(program):
    """Every value, and the gradients of the loss."""
    xs = [tg.Tensor(x, requires_grad=True) for x in program.inputs]
    values = values_of(program, TINYGRAD, xs)
    loss = loss_of(program, TINYGRAD, xs)
    found = tg.grad(loss, xs, allow_unused=True)
    return [v.data for v in values], [np.zeros(x.shape) if g is None else g for x, g in zip(xs, found, strict=True)]


def autograds(program):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of autograd, about outputs that do not depend on inputs
        return autograd.grad(lambda xs: loss_of(program, AUTOGRAD, xs))(list(program.inputs))


def difference(found, expected):
    """The largest difference, relative to the largest number (or to 1, where all are smaller)."""
    for a, b in zip(found, expected, strict=True):
        assert np.shape(a) == np.shape(b)
    scale = max([1.0, *(float(np.max(np.abs(b), initial=0.0)) for b in expected)])
    return max(float(np.max(np.abs(a - b), initial=0.0)) for a, b in zip(found, expected, strict=True)) / scale


def compare(seeds):
    """Counts and largest differences over the programs of these seeds; a difference above the limit is an error."""
    seen: collections.Counter[str] = collections.Counter()
    worst: dict[str, float] = dict.fromkeys(["values", "oracle", "autograd"], 0.0)
    for seed in seeds:
        program = draw(np.random.default_rng(seed), NUMPY)
        values, gradients = ours(program)
        found = {
            "values": difference(values, values_of(program, NUMPY, program.inputs)),
            "oracle": difference(gradients, oracle.gradients(program, list(program.inputs))),
        }
        try:
            found["autograd"] = difference(gradients, autograds(program))
        except (TypeError, ValueError) as error:  # what autograd cannot do, the oracle alone has checked
            seen[f"autograd raised {type(error).__name__}: {str(error)[:60]}"] += 1
        if any(step.operation in RESPELLED for step in program.steps):
            seen["with an operation that autograd has not right, spelled differently for it"] += 1
        for oracle_name, by in found.items():
            assert by <= LIMIT, f"seed {seed}: {oracle_name} differs by {by:.1e} in\n{program}"
            worst[oracle_name] = max(worst[oracle_name], by)
            seen[oracle_name] += 1
    return seen, worst


def described(seen, worst):
    lines = [f"{seen[name]} programs against {name}: largest difference {worst[name]:.1e}" for name in worst]
    return "\n".join([*lines, *[f"  {n} x {what}" for what, n in seen.most_common() if what not in worst]])


def test_random_programs_agree_with_autograd_and_the_oracle():
    seen, _ = compare(range(1500))
    assert seen["oracle"] == seen["values"] == 1500
    assert seen["autograd"] > 1400


@given(st.integers(0, 2**32), st.integers(1, 14))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_random_program_agrees_with_the_oracle(seed, longest):
    program = draw(np.random.default_rng(seed), NUMPY, longest)
    assert difference(ours(program)[1], oracle.gradients(program, list(program.inputs))) <= LIMIT


@pytest.mark.full
@pytest.mark.parametrize("part", range(4))
def test_20000_random_programs_agree(part, capsys):
    start = time.perf_counter()
    seen, worst = compare(range(10_000_000 + part * 5000, 10_000_000 + (part + 1) * 5000))
    assert seen["oracle"] == seen["values"] == 5000
    assert seen["autograd"] > 4700
    with capsys.disabled():
        print(f"\nrow 1, part {part + 1} of 4, 0 exceptions, {time.perf_counter() - start:.0f} s")
        print(described(seen, worst))


@pytest.mark.full
def test_random_programs_agree_with_pytorch(capsys):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed here")
    pytorch = importlib.import_module("tests.engine.pytorch_library").PYTORCH
    assert pytorch.keys() == NUMPY.keys()
    worst, count = 0.0, 20_000
    for seed in range(20_000_000, 20_000_000 + count):
        program = draw(np.random.default_rng(seed), NUMPY)
        xs = [torch.tensor(x, requires_grad=True) for x in program.inputs]
        by_torch = torch.autograd.grad(loss_of(program, pytorch, xs), xs, allow_unused=True)
        expected = [
            np.zeros(x.shape) if g is None else g.numpy() for g, x in zip(by_torch, program.inputs, strict=True)
        ]
        by = difference(ours(program)[1], expected)
        assert by <= LIMIT, f"seed {seed}: PyTorch differs by {by:.1e} in\n{program}"
        worst = max(worst, by)
    with capsys.disabled():
        print(f"\nrow 1, PyTorch {torch.__version__}: {count} programs, largest difference {worst:.1e}")


def test_two_sweeps_over_one_program_are_bitwise_equal():
    for seed in range(200):
        program = draw(np.random.default_rng(seed), NUMPY)
        first, second = ours(program), ours(program)
        for a, b in zip(itertools.chain(*first), itertools.chain(*second), strict=True):
            np.testing.assert_array_equal(a, b)
