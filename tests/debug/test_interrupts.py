"""Interrupts at random points of a debugger's runs: nothing is half done, and one can go on from there.

They are injected where CPython would look for signals, as in tests/engine/test_interrupts.py; real signals come on top.
"""

import io
import signal
import threading

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.debug.stepped import planted, recurrent
from tests.engine.test_interrupts import Injection
from tinygrad_rnn.debug.prompt import Prompt
from tinygrad_rnn.engine import derivatives, functions, observed, tensor
from tinygrad_rnn.engine.annotate import HERE

SCRIPTS = [
    "break nan; continue",
    "break share > 20%; continue; continue; rc",
    "watch grad weight_hh; c; c; c; rc",
    "goto backward; step 30; back 10; next; finish",
    "until grad weight_hh and norm > 0.1; why; frontier",
    "goto end; where; p grad weight_hh; p norm(h[3] - h[2]); rule; values; back 100",
    "goto 20; graph now.dot",
    "tbreak h[2] and backward; ignore 1 0; c; c",
]


def seen(walk):
    """All of a moment, bitwise."""
    line, position = walk.timeline, walk.position
    totals = [line.total(i, position) for i in line.order]
    return position, [None if a is None else a.tobytes() for a in totals], where(walk)


def where(walk):
    out = io.StringIO()
    Prompt(walk, out=out).run("where; frontier")
    return out.getvalue()


def assert_consistent(walk, loss, leaves, place):
    assert HERE.get() == tg.Place(), place
    assert all(leaf.grad is None for leaf in leaves), place
    fresh = tg.Debugger(loss)
    fresh.goto(walk.position)
    assert seen(walk) == seen(fresh), place  # whatever was remembered half-way is right
    for one in walk.breakpoints:
        if not one.temporary and "rc" not in place:
            matches = sum(one.test(walk.stop_at(k + 1)) for k in range(len(walk)))
            assert one.hits <= matches, place
    numbers = [one.number for one in walk.breakpoints]
    assert numbers == sorted(set(numbers)), place
    walk.clear()
    walk.run()
    assert walk.position == len(walk)
    for leaf in leaves:
        assert walk.grad(leaf).tobytes() == tg.grad(loss, leaf).tobytes(), place


def inject(script, times, seed, folder):
    """How many of the injections interrupted a command."""
    loss, leaves = recurrent("LSTM", steps=5)
    counting = Injection()
    counting.run(lambda: Prompt(tg.Debugger(loss), out=io.StringIO()).run(script))
    counting = Injection()
    counting.run(lambda: Prompt(tg.Debugger(loss), out=io.StringIO()).run(script))
    interrupted = 0
    for point in np.random.default_rng(seed).integers(1, counting.points + 1, size=times):
        dbg, out = tg.Debugger(loss), io.StringIO()
        injection = Injection(int(point))
        escaped = injection.run(lambda dbg=dbg, out=out: Prompt(dbg, out=out).run(script))
        interrupted += escaped or "interrupted after event" in out.getvalue()
        assert_consistent(dbg, loss, leaves, f"{script}: {injection.where}")
        left = [p.name for p in folder.iterdir() if p.name != "now.dot"]
        assert not left, injection.where
    return interrupted


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_interrupt_at_a_random_point_leaves_a_consistent_debugger(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert inject(script, 2 if "graph" in script else 6, seed=1, folder=tmp_path) >= 1


@pytest.mark.full
@pytest.mark.parametrize("script", SCRIPTS)
def test_interrupts_at_many_points_leave_a_consistent_debugger(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert inject(script, 40, seed=2, folder=tmp_path) >= 34


def nobody_observes():
    original = tensor.record is functions.record is observed._record and derivatives.sweep is observed._sweep
    return original and observed.OBSERVERS.get() == () and not observed._observing


def program(manager):
    def run():
        with manager():
            w = tg.Tensor([0.5, 0.3], requires_grad=True)
            (w * w).tanh().sum().backward()

    return run


@pytest.mark.parametrize("manager", [tg.record_lines, tg.detect_anomaly])
def test_an_interrupt_at_any_point_of_observing_leaves_nobody_observing(manager):
    run = program(manager)
    run()
    counting = Injection()
    counting.run(run)
    interrupted = 0
    for point in range(1, counting.points + 1):
        interrupted += Injection(point).run(run)
        assert nobody_observes(), point
    assert interrupted > 50
    with manager():
        assert not nobody_observes()
    assert nobody_observes()


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals reach the main thread")
@pytest.mark.parametrize("command", ["continue", "rc"])
def test_ctrl_c_in_the_middle_of_a_run_returns_to_the_prompt(command):
    loss, leaves = recurrent("LSTM", steps=20)
    dbg, out = tg.Debugger(loss), io.StringIO()
    at, pressed = 400, []

    def pressing(stop):
        if stop.position == at and not pressed:
            pressed.append(at)
            signal.raise_signal(signal.SIGINT)
        return False

    dbg.goto(0 if command == "continue" else -1)
    dbg.break_at(pressing)
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        Prompt(dbg, out=out).run(f"{command}\np 1 + 1\nwhere")
    finally:
        signal.signal(signal.SIGINT, old)
    assert dbg.position == at + (1 if command == "rc" else -1)  # the event that was looked at has not happened
    interrupted, _, after = out.getvalue().partition("nothing is half done")
    assert f"interrupted after event {dbg.position} of {len(dbg)}" in interrupted
    assert "\n2\n" in after
    assert f"event {dbg.position} of {len(dbg)}" in after
    assert_consistent(dbg, loss, leaves, command)


def test_an_error_in_a_predicate_stops_before_the_event_that_it_looked_at():
    dbg = tg.Debugger(planted())

    def broken(stop):
        if stop.step == 4:
            raise KeyError("broken")
        return False

    dbg.break_at(broken)
    with pytest.raises(KeyError):
        dbg.run()
    assert dbg.current.step == 3
    assert dbg.breakpoints[0].hits == 0
