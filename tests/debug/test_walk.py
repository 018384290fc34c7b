"""Moving: to the end is backward(), there and back is where one was, break points stop where they say."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tests.debug.stepped import planted, random_program, recurrent, same
from tinygrad_rnn import nn
from tinygrad_rnn.debug.moment import picture

KINDS = ["RNN", "LSTM", "GRU"]


def everything(dbg):
    """All that can be seen at a position, bitwise."""
    stop, line = dbg.current, dbg.timeline
    arrays = [line.total(i, dbg.position) for i in line.order]
    arrays += [stop.value, stop.cotangent, stop.contribution, stop.before, stop.total, stop.derivative]
    seen = [None if a is None else (np.shape(a), np.asarray(a).tobytes()) for a in arrays]
    return stop.event, seen, line.frontier(dbg.position), dbg.run_script("where")


def check_there_and_back(dbg, rng, times):
    for _ in range(times):
        start, n = int(rng.integers(len(dbg) + 1)), int(rng.integers(1, len(dbg) + 1))
        dbg.goto(start)
        n = min(n, len(dbg) - start)
        before = everything(dbg)
        dbg.step(n)
        assert dbg.position == start + n
        dbg.back(n)
        assert dbg.position == start
        assert everything(dbg) == before
        fresh = tg.Debugger(dbg.outputs)
        fresh.goto(start)
        assert everything(fresh) == before  # and is what one finds who never was anywhere else


@pytest.mark.parametrize("kind", KINDS)
def test_run_to_the_end_is_backward_bitwise_and_touches_no_gradient(kind):
    loss, leaves = recurrent(kind)
    dbg = tg.Debugger(loss)
    dbg.run()
    assert dbg.position == len(dbg)
    assert all(p.grad is None for p in leaves)
    loss.backward()
    assert all(same(dbg.grad(p), p.grad) for p in leaves)


@pytest.mark.parametrize("kind", KINDS)
def test_n_forward_and_n_back_is_the_identity_bitwise(kind):
    loss, _ = recurrent(kind)
    check_there_and_back(tg.Debugger(loss), np.random.default_rng(2), times=12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_on_random_graphs_the_end_is_backward_and_there_and_back_is_the_identity(seed):
    loss, leaves = random_program(seed)
    dbg = tg.Debugger(loss)
    for _ in range(len(dbg)):
        dbg.step()
    for leaf, gradient in zip(leaves, tg.grad(loss, leaves, allow_unused=True), strict=True):
        found = dbg.grad(leaf) if leaf.index in dbg.timeline.order else None
        assert same(found, gradient)
    check_there_and_back(dbg, np.random.default_rng(seed), times=2)


def test_the_gradient_so_far_is_a_fresh_array():
    loss, leaves = recurrent("RNN")
    dbg = tg.Debugger(loss)
    assert dbg.grad(leaves[0]) is None
    dbg.goto(-1)
    dbg.grad(leaves[0])[:] = 0
    assert same(dbg.grad(leaves[0]), tg.grad(loss, leaves[0]))
    assert same(dbg.grad("weight_hh"), tg.grad(loss, leaves[1]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_frontier_holds_the_whole_gradient_at_every_pause(kind):
    loss, leaves = recurrent(kind)
    dbg = tg.Debugger(loss, to=leaves[1])
    assert dbg.current.shares.frontier(dbg.position) == []
    for position in range(dbg.timeline.backward_start, len(dbg) + 1):
        held = dbg.shares.frontier(position)
        assert abs(sum(share for _, share in held) - 1.0) < 1e-12, position
    assert dbg.shares.frontier(len(dbg)) == [(leaves[1].index, pytest.approx(1.0))]


def test_the_frontier_holds_the_whole_gradient_of_several_losses_that_build_on_each_other():
    w = tg.Tensor([0.5, -0.3], requires_grad=True, name="w")
    first = (w * w).sum()
    second = (w * first).tanh().sum()
    for to in (w, first):
        dbg = tg.Debugger([first, second], to=to)
        for position in range(dbg.timeline.backward_start, len(dbg) + 1):
            assert abs(sum(share for _, share in dbg.shares.frontier(position)) - 1.0) < 1e-12, position


def test_a_state_as_source_keeps_what_has_come_to_the_end():
    loss, _ = recurrent("LSTM", steps=4)
    h = tg.Debugger(loss).labels.find("h", 1)[0]
    dbg = tg.Debugger(loss, to=h)
    for position in range(dbg.timeline.backward_start, len(dbg) + 1):
        assert abs(sum(share for _, share in dbg.shares.frontier(position)) - 1.0) < 1e-12, position
    assert dbg.shares.frontier(len(dbg)) == [(h.index, pytest.approx(1.0))]


def test_the_share_of_an_edge_into_the_source_is_that_of_its_contribution():
    loss, leaves = recurrent("LSTM")
    dbg = tg.Debugger(loss, to=leaves[1])
    whole = tg.grad(loss, leaves[1])
    for k in dbg.timeline.edges_into(leaves[1].index):
        stop = dbg.goto(k + 1)
        assert stop.share == pytest.approx((stop.contribution * whole).sum() / (whole * whole).sum(), abs=1e-12)


def test_next_steps_over_inner_scopes_and_finish_leaves_a_scope_or_a_time_step():
    loss, _ = recurrent("LSTM", steps=3)
    dbg = tg.Debugger(loss)
    places = []
    while dbg.position < len(dbg):
        places.append(dbg.next().scope)
    assert set(places) == {""}  # the gates of the cell are scopes
    dbg.goto(0)
    ends = [dbg.finish("step").step for _ in range(3)]
    assert ends == [0, 1, 2]
    assert dbg.timeline[dbg.position].place.step != 2
    dbg.goto(-1)
    assert dbg.next().position == dbg.finish().position == dbg.step().position == len(dbg)
    assert dbg.goto(0).event is dbg.back().event is None

    dbg = tg.Debugger(planted(at=-1))
    dbg.run_until("scope gate and step 4")
    at = dbg.position
    dbg.finish("scope")
    assert dbg.position > at
    assert {e.place.scope for e in dbg.timeline[at - 1 : dbg.position]} == {"cell/gate"}
    assert dbg.timeline[dbg.position].place.scope == "cell"
    assert dbg.finish().scope == "cell"
    assert dbg.timeline[dbg.position].place.step == 5


def matching(dbg, test):
    return [k + 1 for k in range(len(dbg)) if test(dbg.stop_at(k + 1))]


CONDITIONS = {
    "op tanh": lambda s: s.operation == "tanh" and s.kind != "seed",
    "tanh": lambda s: s.operation == "tanh" and s.kind != "seed",
    "h": lambda s: s.target.name == "h",
    "name h": lambda s: s.target.name == "h",
    "h[3]": lambda s: s.target.name == "h" and s.target.place.step == 3,
    "grad weight_hh": lambda s: s.kind == "backward" and s.target.name == "weight_hh",
    "step 4": lambda s: s.step == 4,
    "scope forget": lambda s: s.scope == "forget",
    "forget and backward": lambda s: s.scope == "forget" and s.kind == "backward",
    "forward": lambda s: s.kind == "forward",
    "seed": lambda s: s.kind == "seed",
    "norm > 1.5": lambda s: s.norm > 1.5,
    "norm < 1e-2 and backward": lambda s: s.kind == "backward" and s.norm < 1e-2,
    "share > 20%": lambda s: s.share is not None and abs(s.share) > 0.2,
    "share < 1e-3 and step 0": lambda s: s.share is not None and abs(s.share) < 1e-3 and s.step == 0,
    "not backward and c": lambda s: s.kind == "forward" and s.target.name == "c",
    "nan": lambda s: False,
}


@pytest.mark.parametrize("text", CONDITIONS)
def test_a_break_point_stops_at_all_events_that_it_describes_and_at_no_other(text):
    dbg = tg.Debugger(recurrent("LSTM", steps=5)[0])
    wanted = matching(dbg, CONDITIONS[text])
    assert wanted or text == "nan"
    made = dbg.break_at(text)
    stops = []
    while dbg.position < len(dbg):
        dbg.run()
        if dbg.state.reached:
            assert dbg.state.reached == (made.number,)
            stops.append(dbg.position)
    assert stops == wanted
    assert dbg.breakpoints[0].hits == len(wanted)
    back = []
    while dbg.position > 0:
        dbg.run_back()
        if dbg.state.reached:
            back.append(dbg.position)
    assert back == [k for k in wanted[::-1] if k != len(dbg)]
    assert dbg.breakpoints[0].hits == len(wanted)  # going back counts none


def test_a_python_predicate_is_a_condition_too():
    dbg = tg.Debugger(recurrent("GRU")[0])
    stop = dbg.run_until(lambda s: s.kind == "backward" and s.step == 2 and s.norm > 0.01)
    assert (stop.kind, stop.step, stop.norm > 0.01) == ("backward", 2, True)
    assert dbg.position == matching(dbg, lambda s: s.kind == "backward" and s.step == 2 and s.norm > 0.01)[0]
    dbg.goto(0)
    dbg.break_at(lambda s: s.step == 4)
    assert dbg.run().step == 4


def test_hits_can_be_let_pass_and_break_points_disabled_temporary_and_removed():
    dbg = tg.Debugger(recurrent("RNN")[0])
    dbg.break_at("h and forward", ignored=3)
    assert dbg.run().label == "h[3]"
    dbg.change(1, enabled=False)
    dbg.break_at("h[5] and forward", temporary=True)
    assert dbg.run().label == "h[5]"
    assert [b.number for b in dbg.breakpoints] == [1]
    dbg.clear(1)
    assert dbg.breakpoints == ()
    with pytest.raises(ValueError, match="no break point 1"):
        dbg.clear(1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("foo", "«foo» is no name, operation or scope"),
        ("tnah", "did you mean tanh"),
        ("h[99]", "no h at step 99; its steps are 0 to 5"),
        ("name foo", "nothing here is called «foo»"),
        ("op foo", "no operation here is «foo»; there are add, linear"),
        ("log", "no operation here is «log»"),
        ("step 6", "nothing is computed at step 6; steps are 0 to 5"),
        ("h[2] or c[2]", "for C or D set two break points"),
        ("scope foo", "no scope «foo»"),
        ("step x", "whole number"),
        ("line 3", "tg.record_lines"),
        ("norm > x", "wants a number"),
        ("norm > nan", "nothing is above or below nan"),
        ("", "What can be written"),
        ("h and", "What can be written"),
        ("two words", "is no condition"),
    ],
)
def test_what_is_no_condition_is_an_error_that_says_what_is(text, says):
    dbg = tg.Debugger(recurrent("LSTM")[0])
    with pytest.raises(ValueError, match=re.escape(says)):
        dbg.break_at(text)
    assert dbg.breakpoints == ()


def test_a_line_is_a_condition_where_lines_were_recorded():
    with tg.record_lines():
        loss = planted(at=-1, steps=3)
    dbg = tg.Debugger(loss)
    stop = dbg.run_until("op log")
    assert stop.line.text.endswith("# the line to be named")
    again = tg.Debugger(loss)
    number = stop.line.number
    assert again.run_until(f"line {number}").position == dbg.position
    assert again.run_until(f"stepped.py:{number} and step 2").step == 2
    with pytest.raises(ValueError, match=r"no operation was made at line «1»; there are stepped\.py:"):
        again.break_at("line 1")
    assert type(loss.place) is not type(planted(at=-1).place)  # outside nothing is recorded


def test_lines_are_those_of_the_user_also_where_a_layer_makes_the_operation():
    lstm = nn.LSTM(3, 4, rng=0)
    with tg.record_lines():
        out, _ = lstm(tg.Tensor(np.ones((5, 1, 3))))
        loss = np.tanh(out).sum()
    dbg = tg.Debugger(loss)
    texts = {dbg.stop_at(k + 1).line.text for k in range(dbg.timeline.forward_end)}
    assert texts == {"out, _ = lstm(tg.Tensor(np.ones((5, 1, 3))))", "loss = np.tanh(out).sum()"}


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: tg.Debugger(3.0), TypeError),
        (lambda: tg.Debugger([]), ValueError),
        (lambda: tg.Debugger(tg.Tensor([1.0, 2.0], requires_grad=True) * 2), RuntimeError),
        (lambda: tg.Debugger(tg.Tensor(1.0)), RuntimeError),
        (lambda: tg.Debugger(recurrent("RNN")[0], to=tg.Tensor(1.0, requires_grad=True)), ValueError),
        (lambda: tg.Debugger(recurrent("RNN")[0]).step(-1), ValueError),
        (lambda: tg.Debugger(recurrent("RNN")[0]).goto(10**6), ValueError),
        (lambda: tg.Debugger(recurrent("RNN")[0]).grad(tg.Tensor(1.0)), ValueError),
        (lambda: tg.Debugger(recurrent("RNN")[0]).grad("h"), ValueError),
    ],
)
def test_misuse_is_an_error(make, error):
    with pytest.raises(error):
        make()


@pytest.mark.full
def test_a_thousand_steps_of_an_lstm_stay_usable(capsys):
    import time

    loss, leaves = recurrent("LSTM", steps=1000, hidden=32)
    took = {}

    def timed(what, function):
        start = time.perf_counter()
        function()
        took[what] = time.perf_counter() - start

    timed("gradient", lambda: tg.grad(loss, leaves))
    dbg = tg.Debugger(loss)
    timed("first stop in the middle", lambda: dbg.run_script(f"goto {len(dbg) // 2}"))
    timed("100 jumps", lambda: [dbg.goto(int(k)).total for k in np.random.default_rng(0).integers(0, len(dbg), 100)])
    dbg.goto(0)
    dbg.break_at("nan")
    timed("continue through all, looking for nan", dbg.run)
    dbg.clear()
    dbg.break_at("norm > 1e9")
    timed("and all the way back, by norm", dbg.run_back)
    timed("1000 back, one by one", lambda: (dbg.goto(-1), [dbg.back().total for _ in range(1000)]))
    with capsys.disabled():
        print(f"\n{len(dbg):,} events:", ", ".join(f"{what} {seconds:.2g} s" for what, seconds in took.items()))
    assert took["first stop in the middle"] < 60
    assert max(seconds for what, seconds in took.items() if what != "first stop in the middle") < 30


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            lambda dbg: dbg.goto("h[3]"),
            "goto takes a number of events, 0 to 256; got 'h[3]'. run_until takes a condition",
        ),
        (lambda dbg: dbg.goto(1.0), "goto takes a number of events"),
        (lambda dbg: dbg.run_until(3), 'a condition is a text, such as "log and step 7", or a function of the stop'),
        (lambda dbg: dbg.break_at(None), 'a condition is a text, such as "log and step 7", or a function of the stop'),
        (lambda dbg: dbg.watch(3), 'watch takes a name, such as "h[3]" or "grad W"; got 3'),
        (lambda dbg: dbg.finish("loop"), 'finish takes "scope", "step" or "both"; got \'loop\''),
        (lambda dbg: dbg.grad(3), 'the gradient is that of a Tensor or of its name, such as "h[3]"; got 3'),
        (lambda dbg: dbg.run_script(["where"]), "a script is a text of commands"),
        (lambda dbg: tg.Debugger(dbg.outputs, to="weight_hh"), "that requires a gradient; got 'weight_hh'"),
        (lambda dbg: tg.post_mortem(3), "post_mortem takes an error that was caught; got 3"),
    ],
)
def test_what_a_method_does_not_take_is_said_and_changes_nothing(wrong, says):
    dbg = tg.Debugger(recurrent("LSTM")[0])
    dbg.goto(7)
    with pytest.raises((TypeError, ValueError), match=re.escape(says)):
        wrong(dbg)
    assert (dbg.position, dbg.breakpoints) == (7, ())


def test_in_the_picture_of_a_moment_only_a_loss_looks_like_one():
    loss, _ = recurrent("LSTM", steps=3)
    walk = tg.Debugger(loss)
    walk.run_script("goto 5")
    assert not any(n.output for n in picture(walk.current).figure.nodes)
    walk.run_script("goto backward")
    assert [n.index for n in picture(walk.current).figure.nodes if n.output] == [loss.index]
