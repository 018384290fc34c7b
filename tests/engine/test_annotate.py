"""Where an operation is made: scopes, steps and names; and stacks of states, which hand back the very states."""

import contextlib
import itertools
import threading

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.engine.annotate import HERE

XS = np.arange(6.0).reshape(3, 2)


@pytest.fixture(autouse=True)
def place_is_restored():
    assert HERE.get() == tg.Place("", None, True)
    yield
    assert HERE.get() == tg.Place("", None, True)


def leaf(*shape):
    return tg.Tensor(np.ones(shape), requires_grad=True)


def here():
    """The place, as an operation that is made now records it."""
    return (leaf(2) * 2.0).place


# Scopes and steps ----------------------------------------------------------------------------------------------------


def test_scopes_nest_and_end():
    assert here().scope == ""
    with tg.scope("encoder"):
        assert here().scope == "encoder"
        with tg.scope("lstm"), tg.scope("forget"):
            assert here().scope == "encoder/lstm/forget"
        assert here().scope == "encoder"
    assert here().scope == ""


def test_scope_step_and_recording_do_not_disturb_one_another():
    with tg.scope("a"), tg.step(3):
        assert here() == tg.Place("a", 3, True)
        with tg.no_grad(), tg.scope("b"), tg.step(4):
            assert here() == tg.Place("a/b", 4, False)
        assert here() == tg.Place("a", 3, True)


def test_the_place_is_that_of_the_making_not_of_a_later_look():
    with tg.scope("a"), tg.step(1):
        x = leaf(2)
        y = x * 2.0
    with tg.scope("b"):
        z = y + x
        assert (x.place.scope, y.place.scope, z.place.scope) == ("a", "a", "b")
    assert str(y.place) == "a, step 1"
    assert str(z.place) == "b"
    assert str(tg.Place()) == "no scope or step"


def test_operations_at_one_place_share_one_place_object():
    with tg.scope("a"):
        y = leaf(2) * 2.0
        assert y.place is (y + 1.0).place


def test_an_exception_ends_scope_step_and_no_grad():
    with contextlib.suppress(KeyError), tg.scope("a"), tg.step(2), tg.no_grad():
        raise KeyError
    assert here() == tg.Place()


def test_a_scope_may_be_used_again_but_not_inside_itself():
    s = tg.scope("a")
    for _ in range(2):
        with s:
            assert here().scope == "a"
    with s, pytest.raises(RuntimeError, match="make a new one"), s:
        pass
    assert here().scope == ""


@pytest.mark.parametrize("number", [np.int64(3), np.uint8(3), np.array(3)], ids=["int64", "uint8", "0-d array"])
def test_a_step_is_stored_as_a_plain_int(number):
    with tg.step(number):
        assert type(here().step) is int
        assert here().step == 3


def test_steps_may_be_negative_and_start_anywhere():
    with tg.step(-1):
        assert here().step == -1
    assert [(t, here().step) for t, _ in tg.steps(XS, start=-2)] == [(-2, -2), (-1, -1), (0, 0)]


@pytest.mark.parametrize("ys", [[1, 2, 3], XS, tg.Tensor(XS), np.arange(3), tg.Tensor(XS, requires_grad=True)])
def test_two_sequences_are_gone_through_as_one(ys):
    with pytest.raises(TypeError, match=r"a time step is a whole number.* as start=.*tg\.steps\(zip\(xs, ys\)\)"):
        next(tg.steps(XS, ys))
    with pytest.raises(TypeError, match=r"a time step is a whole number, such as 0, 1, 2; got (?!.*zip)"):
        tg.step(ys)


# The time loop -------------------------------------------------------------------------------------------------------


def test_the_loop_yields_step_and_element_and_is_at_that_step():
    seen = [(t, x.tolist(), here().step) for t, x in tg.steps(XS)]
    assert seen == [(0, [0.0, 1.0], 0), (1, [2.0, 3.0], 1), (2, [4.0, 5.0], 2)]


def test_backwards_the_last_element_comes_first_with_its_own_step():
    assert [(t, x.tolist()) for t, x in tg.steps(XS, reverse=True)] == [
        (2, [4.0, 5.0]),
        (1, [2.0, 3.0]),
        (0, [0.0, 1.0]),
    ]
    assert [t for t, _ in tg.steps(XS, start=10, reverse=True)] == [12, 11, 10]


def test_chunks_continue_one_time_axis():
    chunks = [list(range(4)), list(range(3))]
    seen, start = [], 0
    for chunk in chunks:
        seen += [t for t, _ in tg.steps(chunk, start=start)]
        start += len(chunk)
    assert seen == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "make",
    [list, tuple, tg.Tensor, np.asarray, iter, lambda xs: (x for x in xs), lambda xs: zip(xs, xs, strict=True)],
    ids=["list", "tuple", "Tensor", "array", "iterator", "generator", "zip"],
)
def test_whatever_is_along_time_can_be_gone_through(make, reverse):
    seen = [(t, np.asarray(x).reshape(-1)[:2].tolist()) for t, x in tg.steps(make(XS), reverse=reverse)]
    forward = [(0, [0.0, 1.0]), (1, [2.0, 3.0]), (2, [4.0, 5.0])]
    assert seen == (forward[::-1] if reverse else forward)


def test_taking_an_element_of_a_tensor_is_an_operation_of_that_step():
    xs = tg.Tensor(XS, requires_grad=True)
    for t, x in tg.steps(xs):
        assert x.primitive.name == "slice"
        assert x.place.step == t
    for t, (a, b) in tg.steps(zip(xs, xs, strict=True)):
        assert (a.place.step, b.place.step) == (t, t)


def test_nothing_is_at_a_step_before_between_and_after():
    assert list(tg.steps([])) == []
    assert here().step is None
    for _ in tg.steps(XS):
        pass
    assert here().step is None
    with tg.step(9):
        for _ in tg.steps(XS):
            pass
        assert here().step == 9


@pytest.mark.parametrize("way_out", ["break", "exception", "return"])
def test_leaving_the_loop_early_leaves_the_step(way_out):
    def loop():
        for t, _ in tg.steps(XS):
            if t == 1:
                if way_out == "break":
                    break
                if way_out == "return":
                    return
                raise KeyError

    with tg.scope("s"):
        with contextlib.suppress(KeyError):
            loop()
        assert here() == tg.Place("s")


def test_an_error_in_a_plain_loop_leaves_the_step_also_while_its_traceback_is_kept():
    """As an interactive session keeps it: what is computed next must not be at the step of the error."""

    def loop():
        for _, x in tg.steps(XS):
            x["no such index"]

    with pytest.raises(IndexError) as kept:
        loop()
    assert kept.tb is not None
    assert here() == tg.Place()


def test_a_loop_that_is_held_and_broken_off_ends_when_it_is_let_go():
    loop = tg.steps(XS)
    next(loop)
    assert here().step == 0
    loop.close()
    assert here().step is None


def test_loops_may_be_nested_and_follow_one_another():
    seen = []
    for t, _ in tg.steps([0, 1]):
        seen.append(here().step)
        for s, _ in tg.steps([0, 1], start=10 * (t + 1)):
            seen.append(here().step)
            if s == 20:
                break
        seen.append(here().step)
    assert seen == [0, 10, 11, 0, 1, 20, 1]


def test_scopes_and_no_grad_may_be_opened_inside_the_loop():
    seen = []
    for t, _ in tg.steps([0, 1]):
        with tg.scope("a"):
            seen.append(here())
        with tg.no_grad():
            if t == 0:
                continue
            seen.append(here())
    assert seen == [tg.Place("a", 0), tg.Place("a", 1), tg.Place("", 1, False)]


@pytest.mark.parametrize("length", [1, 2, 5])
def test_interleaved_loops_raise_and_say_how_to_do_it(length):
    with tg.scope("s"):
        with pytest.raises(RuntimeError, match=r"interleaved.*tg\.steps\(zip\(xs, ys\)\)"):
            for (_, _), (_, _) in zip(tg.steps(range(length)), tg.steps(range(length)), strict=True):
                pass
        assert here() == tg.Place("s")


def test_interleaving_by_hand_raises_too():
    a, b = tg.steps(XS), tg.steps(XS, start=10)
    next(a)
    next(b)
    with pytest.raises(RuntimeError, match="interleaved"):
        next(a)
    assert here() == tg.Place()


def test_after_interleaved_loops_have_both_raised_no_step_is_left():
    a, b = tg.steps(XS), tg.steps(XS, start=10)
    next(a)
    next(b)
    for loop in (a, b):
        with pytest.raises(RuntimeError, match="interleaved"):
            next(loop)
    assert here() == tg.Place()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_half_used_loops_may_be_dropped_in_any_order(order):
    """The last to go puts back what was there before all of them, not the step of one that had gone before it."""
    with tg.scope("s"):
        loops = {k: tg.steps(XS, start=10 * k) for k in range(3)}
        for loop in loops.values():
            next(loop)
        assert here() == tg.Place("s", 20)
        del loop
        for k in order:
            del loops[k]
        assert here() == tg.Place("s")
    assert here() == tg.Place()


@pytest.mark.parametrize("first", [0, 1])
def test_an_error_that_drops_half_used_loops_leaves_no_step(first):
    def failing():
        loops = [tg.steps(XS), tg.steps(XS, start=10)]
        for loop in loops:
            next(loop)
        del loop
        del loops[first]
        raise KeyError

    with contextlib.suppress(KeyError):
        failing()
    assert here() == tg.Place()


def test_a_loop_goes_on_at_its_steps_when_the_one_around_it_is_dropped_and_ends_outside_both():
    outer = tg.steps(XS)
    next(outer)
    seen = []
    for _ in tg.steps(XS, start=10):
        outer = None
        seen.append(here().step)
    assert seen == [10, 11, 12]
    assert outer is None
    assert here() == tg.Place()


def test_a_loop_that_is_dropped_inside_a_scope_is_not_gone_back_to():
    loop = tg.steps(XS)
    next(loop)
    with tg.scope("inside"):
        loop.close()
    assert here() == tg.Place()


def test_a_loop_that_is_ended_elsewhere_is_not_what_the_next_one_goes_back_to():
    """The collector may end a loop in another thread, where the step that is current here cannot be set."""
    loop = tg.steps(XS)
    next(loop)
    elsewhere = threading.Thread(target=loop.close)
    elsewhere.start()
    elsewhere.join()
    assert [here().step for _ in tg.steps(XS)] == [0, 1, 2]
    assert here() == tg.Place()


def test_an_error_while_taking_the_next_element_ends_the_loop():
    def failing():
        yield 1
        raise KeyError("no more")

    with pytest.raises(KeyError):
        for _ in tg.steps(failing()):
            pass
    assert here() == tg.Place()


def test_step_zero_has_the_graph_of_every_other_step():
    w, h = leaf(2, 2), leaf(2)
    graphs = []
    for _, x in tg.steps(tg.Tensor(XS, requires_grad=True)):
        before = h
        h = (x @ w + h).tanh().named("h")
        found, to_visit = [], [h]
        while to_visit:
            node = to_visit.pop()
            if node is not before and node.primitive is not None:
                found.append(node.primitive.name)
                to_visit += node.inputs
        graphs.append(found)
    assert graphs[0] == graphs[1] == graphs[2]


# Names ---------------------------------------------------------------------------------------------------------------


def test_naming_an_unnamed_tensor_costs_no_node():
    y = leaf(2) * 2.0
    assert y.named("h") is y
    assert y.name == "h"


def test_naming_a_named_tensor_makes_an_identity_and_renames_nothing():
    h = (leaf(2) * 2.0).named("h")
    with tg.scope("layer1"), tg.step(4):
        x = h.named("x")
    assert (h.name, x.name) == ("h", "x")
    assert x.primitive.name == "identity"
    assert x.inputs == (h,)
    assert x.place == tg.Place("layer1", 4)
    np.testing.assert_array_equal(tg.grad(x.sum(), h), np.ones(2))


def test_a_name_survives_detaching_and_is_no_one_elses():
    x = tg.Tensor(np.ones(2), requires_grad=True, name="x")
    assert x.detach().name == "x"
    assert (x * 2.0).name is None
    assert x[0].name is None


# A stack of states hands back the very states ------------------------------------------------------------------------


def test_an_element_of_a_stack_is_the_very_tensor_that_was_stacked():
    states = [leaf(3) * float(t) for t in range(4)]
    for stacked in (tg.stack(states), np.stack(states), tg.stack(tuple(states), axis=-2)):
        assert all(stacked[t] is states[t] for t in range(4))
        assert stacked[-1] is states[3]
        assert all(a is b for a, b in zip(stacked, states, strict=True))
        assert [x is states[t] for t, x in tg.steps(stacked)] == [True] * 4
        assert stacked[1, 0].inputs == (states[1],)


def test_that_holds_for_every_axis_that_they_were_stacked_along():
    states = [leaf(2, 3) * float(t) for t in range(4)]
    sideways, last = tg.stack(states, axis=1), tg.stack(states, axis=-1)
    for t in range(4):
        assert sideways[:, t] is states[t]
        assert last[:, :, t] is states[t]
        assert sideways[:, t, 1:].inputs == (states[t],)
    for part in (sideways[0, 2], sideways[:1, 2], sideways[:, 2:3], last[..., 1], last[:, 1]):
        assert all(part is not state for state in states)
    np.testing.assert_array_equal(sideways[:1, 2].data, states[2].data[:1])
    np.testing.assert_array_equal(last[:, 1].data, np.stack([x.data[:, 1] for x in states], axis=-1))


def test_that_holds_for_numpy_integers_too():
    states = [leaf(3) * 1.0, leaf(3) * 2.0]
    assert tg.stack(states)[np.int64(1)] is states[1]


def test_other_ways_to_index_a_stack_give_new_tensors_with_the_right_gradient():
    states = [leaf(3) * 1.0, leaf(3) * 2.0]
    s = tg.stack(states)
    assert s[0:1].shape == (1, 3)
    np.testing.assert_array_equal(tg.grad(s[:, 1].sum(), states[1]), [0.0, 1.0, 0.0])
    sideways = tg.stack(states, axis=1)
    assert sideways[0].shape == (2,)
    np.testing.assert_array_equal(tg.grad(sideways[0].sum(), states[0]), [1.0, 0.0, 0.0])
    with pytest.raises(IndexError, match="2"):
        s[2]


def test_inside_no_grad_an_element_of_a_stack_is_a_constant():
    s = tg.stack([leaf(3) * 1.0, leaf(3) * 2.0])
    with tg.no_grad():
        assert not s[0].requires_grad
