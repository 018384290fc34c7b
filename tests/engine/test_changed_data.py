"""Arrays that the tape relies on are changed between forward and backward: an error, or the right gradient.

The right gradient is that of a run in which nothing was changed. 0 of the cases (changes.py) may be silently wrong, and
each change is shown to be one that matters. The ordinary run takes a sixth of the cases, always the same; the full run
takes all, and prints how they end.
"""

import timeit
import zlib
from collections import Counter

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.engine.changes import ARRAY_CHANGES, CASES, WITH_CONSTANT, WRITES, C, X, leaf

QUICK = [name for name in CASES if zlib.crc32(name.encode()) % 6 == 0]
REFUSALS = (RuntimeError, ValueError, TypeError, AttributeError, BufferError)  # numpy's read-only errors, and ours


def outcome(name):
    """How a case ends. Raises AssertionError if the gradient is silently wrong."""
    build, change = CASES[name]
    untouched = build()
    want = tg.grad(untouched.loss, untouched.x)
    run = build()
    loss = run.loss.item()
    ending = "changed: the gradient is right"
    try:
        change(run)
    except REFUSALS:
        ending = "the change is refused"
    try:
        got = tg.grad(run.loss, run.x)
    except RuntimeError as error:
        if "replaced" not in str(error):
            raise
        ending = "backward is refused"
    else:
        np.testing.assert_array_equal(got, want)
    assert run.loss.item() == loss
    return ending


def test_there_are_five_hundred_cases_and_a_sixth_of_them_is_quick():
    assert len(CASES) >= 500
    assert len(CASES) / 8 < len(QUICK) < len(CASES) / 5


@pytest.mark.parametrize("name", QUICK)
def test_changed_data_give_an_error_or_the_right_gradient(name):
    outcome(name)


@pytest.mark.parametrize("operation", WITH_CONSTANT)
def test_the_changes_matter(operation):
    """Made before the forward pass, every one of them changes the gradient."""
    x = leaf()
    want = tg.grad(WITH_CONSTANT[operation](x, C), x)
    for change in ARRAY_CHANGES:
        c = C.copy()
        change(c)
        assert not np.array_equal(tg.grad(WITH_CONSTANT[operation](x, c), x), want), change.__name__


@pytest.mark.parametrize("name", ["by hand", *WRITES])
def test_the_ways_to_write_do_write_where_nothing_forbids_it(name):
    d = X.copy()
    view = d.view() if name in ("base", "setflags of the base") else d
    if name == "by hand":
        d[0, 0] = 7.0
    else:
        WRITES[name](view)
    assert not np.array_equal(d, X)


def test_a_write_through_data_is_refused_by_numpy_at_once():
    x = leaf()
    with pytest.raises(ValueError, match="read-only"):
        x.data[0, 0] = 7.0
    with pytest.raises(ValueError, match="read-only"):
        (x * 2).data[...] *= 2
    with pytest.raises(ValueError, match="WRITEABLE"):
        x.data.setflags(write=True)


def test_replaced_data_is_named_with_its_consumer_and_place():
    w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with tg.scope("lstm"), tg.step(3):
        h = (w * w).named("h")
    loss = h.sum()
    w.data = [5.0, 5.0]
    for differentiate in (
        loss.backward,
        lambda: tg.grad(loss, w),
        lambda: tg.grad(loss, [w], allow_unused=True),
        lambda: tg.jacobian(h, w),
        lambda: tg.jvp(loss, w, [1.0, 1.0]),
        lambda: tg.hvp(loss, w, [1.0, 1.0]),
    ):
        with pytest.raises(RuntimeError) as found:
            differentiate()
        for word in ("«w»", "«h»", "multiply", "lstm, step 3", "replaced", "forward"):
            assert word in str(found.value)
    assert w.grad is None


def test_a_state_that_was_handed_on_without_detach_is_told_to_be_detached():
    w, h = tg.Tensor(0.5, requires_grad=True, name="w"), tg.Tensor(1.0)
    h = (w * h).named("h")
    (h * h).backward()
    w.data = w.data - 0.1 * w.grad
    with pytest.raises(RuntimeError, match=r"hand on h\.detach\(\)"):
        (w * h).backward()


def test_after_a_new_forward_pass_the_new_data_are_used():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    w.data = w.data * 3.0
    np.testing.assert_array_equal(tg.grad((w * w).sum(), w), [6.0, 12.0])


def test_a_stack_of_states_gives_what_was_stacked_even_after_a_state_was_replaced():
    a, b = leaf(X[0]), leaf(X[1])
    s = tg.stack([a, b])
    assert s[0] is a
    a.data = np.zeros(3)
    np.testing.assert_array_equal(s[0].data, X[0])
    with pytest.raises(RuntimeError, match="replaced"):
        tg.grad(s[0].sum(), b if s[0] is b else a)


@pytest.mark.full
def test_all_cases_and_what_copying_costs(capsys):
    endings, wrong = Counter(), []
    for name in CASES:
        try:
            endings[outcome(name)] += 1
        except AssertionError:
            wrong.append(name)
    a, t = np.ones((16, 32)), tg.Tensor(np.ones((16, 32)), requires_grad=True)
    c = tg.Tensor(a)
    runs = 20_000

    def cost(function):
        return min(timeit.repeat(function, number=runs, repeat=3)) / runs * 1e6

    captured, ready, data = cost(lambda: t * a), cost(lambda: t * c), cost(lambda: t.data)
    with capsys.disabled():
        print(
            f"\nrow 8: {len(CASES)} cases, {len(wrong)} silently wrong; "
            + ", ".join(f"{v} {k}" for k, v in endings.items())
        )
        print(
            f"row 8: a 16x32 product takes {ready:.2f} us with a Tensor, {captured:.2f} us with an array, which is "
            f"copied on capture ({captured - ready:.2f} us); reading .data {data:.2f} us"
        )
    assert wrong == []
