"""Long chains: nothing in the engine recurses, so depth costs time and memory in proportion, and no stack.

Everything here runs under a recursion limit of 200, in a thread whose stack is 256 KiB. The quick size is 20,000
nodes; the full size is 100,000 steps (200,000 nodes) and 1,000,000 nodes, in processes of their own, whose memory is
measured.
"""

import gc
import json
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg

ROOT = Path(__file__).resolve().parents[2]
NODES = 20_000


def cramped(function, stack=256 * 1024, limit=200):
    """The result of a function called in a thread with a small stack and under a low recursion limit."""
    outcome = {}

    def run():
        sys.setrecursionlimit(limit)
        try:
            outcome["result"] = function()
        except BaseException as error:
            outcome["error"] = error

    old_stack, old_limit = threading.stack_size(stack), sys.getrecursionlimit()
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(old_stack)
        sys.setrecursionlimit(old_limit)
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def chain(steps):
    """h' = tanh(w * h): two nodes a step. (the first state, w, the last state)."""
    h0 = tg.Tensor([0.9, -0.4], requires_grad=True, name="h0")
    w = tg.Tensor([1.1, 0.7], requires_grad=True, name="w")
    h = h0
    for _ in range(steps):
        h = (w * h).tanh()
    return h0, w, h


def chain_by_hand(steps):
    """The gradients of the sum of the last state by h0 and by w, in NumPy alone."""
    h, w = np.array([0.9, -0.4]), np.array([1.1, 0.7])
    states = [h]
    for _ in range(steps):
        states.append(np.tanh(w * states[-1]))
    g, gw = np.ones(2), np.zeros(2)
    for before, after in zip(states[-2::-1], states[:0:-1], strict=True):
        g = g * (1.0 - after * after)
        gw = gw + g * before
        g = g * w
    return g, gw


def test_the_limits_that_these_tests_set_are_real():
    def recurse(n):
        return n and recurse(n - 1)

    with pytest.raises(RecursionError):
        cramped(lambda: recurse(300))
    assert sys.getrecursionlimit() > 200


def test_a_chain_is_recorded_and_differentiated_and_its_gradients_are_right():
    def run():
        h0, w, h = chain(NODES // 2)
        h.sum().backward()
        return h0.grad, w.grad

    g0, gw = cramped(run)
    want0, want_w = chain_by_hand(NODES // 2)
    np.testing.assert_allclose(g0, want0, rtol=1e-12, atol=0)
    np.testing.assert_allclose(gw, want_w, rtol=1e-12, atol=0)


def test_a_chain_is_freed_without_recursion_and_without_the_collector():
    def run():
        h0, _, h = chain(NODES // 2)
        early = weakref.ref((h0 * 1.0).named("early"))
        assert early() is None
        middle = weakref.ref(h.inputs[0].inputs[1])
        assert middle() is not None
        del h
        return middle()

    enabled = gc.isenabled()
    gc.disable()
    try:
        assert cramped(run) is None
    finally:
        if enabled:
            gc.enable()


@pytest.mark.parametrize(
    "advance",
    [
        lambda h, x: h + x,
        lambda h, x: h[0:2],
        lambda h, x: h[np.array([1, 0])],
        lambda h, x: h.reshape(1, 2).reshape(2),
        lambda h, x: tg.stack([h, x])[0] + 0.0,
        lambda h, x: tg.concatenate([h[:1], x[:1]]),
        lambda h, x: tg.where(x > 0, h, x),
        lambda h, x: (h * 0.5).named("a").named("h"),
        lambda h, x: tg.einsum("i,i->i", h, x),
        lambda h, x: tg.linear(h, np.eye(2), x),
    ],
    ids=["add", "slice", "gather", "reshape", "stack", "concatenate", "where", "named", "einsum", "linear"],
)
def test_any_operation_may_be_chained(advance):
    def run():
        x = tg.Tensor([0.5, 0.25], requires_grad=True)
        h = x
        for t in range(NODES // 10):
            with tg.step(t):
                h = advance(h, x)
        (g,) = tg.grad(h.sum(), [x])
        return g

    assert np.isfinite(cramped(run)).all()


def test_as_many_paths_as_two_to_the_thousand_are_one_sweep():
    def run():
        x = tg.Tensor(1.0, requires_grad=True)
        h = x
        for _ in range(1000):
            h = (h + h) * 0.5
        return tg.grad(h, x)

    assert cramped(run) == 1.0


def test_one_tensor_may_be_used_twenty_thousand_times():
    def run():
        w = tg.Tensor([2.0], requires_grad=True)
        together = tg.stack([w * float(t) for t in range(NODES)])
        return tg.grad(together.sum(), w)

    assert cramped(run) == NODES * (NODES - 1) / 2


def test_every_derivative_works_on_a_deep_graph():
    def run():
        h0, w, h = chain(NODES // 10)
        v = np.array([0.3, -0.2])
        jacobian = tg.jacobian(h, h0)
        forward, backward = tg.jvp(h, h0, v), tg.vjp(h, h0, v)
        first = tg.grad(h.sum(), w, create_graph=True)
        second = tg.grad(first.sum(), w)
        return jacobian, forward, backward, v, second, tg.hvp(h.sum(), w, np.ones(2))

    jacobian, forward, backward, v, second, curved = cramped(run)
    np.testing.assert_allclose(forward, jacobian @ v, rtol=1e-12)
    np.testing.assert_allclose(backward, v @ jacobian, rtol=1e-12)
    np.testing.assert_allclose(second, curved, rtol=1e-12)


def test_printing_and_explaining_a_deep_tensor_does_not_walk_its_graph():
    def run():
        h0, _, h = chain(NODES // 2)
        with pytest.raises(RuntimeError, match="number") as found:
            h.backward()
        assert len(str(found.value)) < 500
        assert h0.requires_grad
        return repr(h)

    assert len(cramped(run)) < 200


@pytest.mark.parametrize("with_steps", [True, False])
def test_a_picture_of_a_deep_graph_is_folded(with_steps):
    def run():
        h = tg.Tensor([0.9, -0.4], requires_grad=True)
        for t in range(NODES // 2):
            with tg.step(t) if with_steps else tg.scope("deep"):
                h = (h * 1.1).tanh().named("h")
        return tg.draw(h.sum()).dot

    assert len(cramped(run)) < 100_000


def test_the_gradient_through_a_deep_graph_can_be_traced():
    def run():
        h0, w = tg.Tensor([0.9, -0.4], requires_grad=True), tg.Tensor([1.1, 0.7], requires_grad=True)
        h = h0
        for t in range(NODES // 10):
            with tg.step(t):
                h = (w * h).tanh().named("h")
        loss = h.sum()
        contributions = tg.trace_gradient(loss, to=w).ledger().contributions
        return contributions.sum(axis=(0, 1)), tg.grad(loss, w)

    np.testing.assert_allclose(*cramped(run), rtol=1e-12)


def test_time_grows_in_proportion_to_the_number_of_nodes():
    def seconds(steps):
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            _, w, h = chain(steps)
            tg.grad(h.sum(), w)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(8000) < 16 * seconds(2000)  # 4 if it is linear, 16 if quadratic


# The full size -----------------------------------------------------------------------------------------------------


def measured(steps):
    """Time and memory of one run of so many steps, in this process, which should do nothing else."""
    import resource

    unit = 1024 if sys.platform == "linux" else 1

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6

    base = peak()
    clock = [time.perf_counter()]
    h0, w, h = chain(steps)
    loss = h.sum()
    clock.append(time.perf_counter())
    loss.backward()
    clock.append(time.perf_counter())
    gone = weakref.ref(h)
    memory = peak() - base
    picture = tg.draw(loss).dot
    clock.append(time.perf_counter())
    del h, loss
    clock.append(time.perf_counter())
    forward, backward, drawing, deletion = np.diff(clock)
    return {
        "nodes": 2 * steps,
        "MB over base": memory,
        "forward s": forward,
        "backward s": backward,
        "deletion s": deletion,
        "total s": forward + backward + deletion,
        "drawing s": drawing,
        "characters of DOT": len(picture),
        "freed": gone() is None,
        "gradients": [h0.grad.tolist(), w.grad.tolist()],
    }


@pytest.mark.full
@pytest.mark.parametrize(("steps", "megabytes", "seconds"), [(100_000, 250, 8), (500_000, 500, 15)])
def test_deep_graphs_at_full_size(steps, megabytes, seconds, capsys):
    pytest.importorskip("resource")
    source = (
        "import json\nfrom tests.engine.test_deep_graphs import cramped, measured\n"
        f"print(json.dumps(cramped(lambda: measured({steps}))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    gradients = found.pop("gradients")
    with capsys.disabled():
        print("\nrow 6:", ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in found.items()))
    np.testing.assert_allclose(gradients, chain_by_hand(steps), rtol=1e-9, atol=1e-300)
    assert found["freed"]
    assert found["MB over base"] < megabytes
    assert found["total s"] < seconds
    assert found["characters of DOT"] < 100_000
