"""Eight threads at once compute, bit for bit, what one after the other would; places and modes are each thread's own.

The quick size is 20 programs a thread, the full size 1,000.
"""

import asyncio
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.engine.annotate import HERE

THREADS = 8

UNARY = [
    lambda x: x.tanh(),
    lambda x: x.sigmoid() * 2.0,
    lambda x: x.softmax(),
    lambda x: x.T,
    lambda x: x - x.mean(axis=0),
    lambda x: x[np.array([0, 2, 2, 1])],
    lambda x: tg.stack([x[0], x[1], x[2], x[0] * x[3]]),
    lambda x: tg.pad(x[1:, :-1], ((1, 0), (0, 1))),
    lambda x: x.reshape(2, 8).logsumexp(axis=1).sum() * x,
    lambda x: tg.where(x > 0.1, x, x * x),
    lambda x: x.sin().named("h"),
]
BINARY = [
    lambda x, y: x + y,
    lambda x, y: x * y,
    lambda x, y: x @ y * 0.5,
    lambda x, y: x / (1.5 + y * y),
    lambda x, y: tg.maximum(x, y),
    lambda x, y: tg.einsum("ij,kj->ik", x, y) * 0.3,
    lambda x, y: tg.linear(x, y, y[0]),
    lambda x, y: tg.concatenate([x[:2], y[:2]]),
]


def program(seed):
    """A random program of fourteen operations on two leaves: its value and its derivatives, of several kinds."""
    rng = np.random.default_rng(seed)
    a, b = (tg.Tensor(rng.normal(size=(4, 4)), requires_grad=True) for _ in range(2))
    made = [a, b]
    with tg.scope(f"program{seed}"):
        for t in range(14):
            with tg.step(t):
                first, second = (made[k] for k in rng.integers(len(made), size=2))
                if rng.random() < 0.1:
                    with tg.no_grad():
                        made.append(UNARY[rng.integers(len(UNARY))](first))
                elif rng.random() < 0.5:
                    made.append(UNARY[rng.integers(len(UNARY))](first))
                else:
                    made.append(BINARY[rng.integers(len(BINARY))](first, second))
        assert HERE.get() == tg.Place(f"program{seed}")
    loss = (sum(made[2:]) * made[-1]).mean() + (a * b).sum() * 1e-3
    loss.backward()
    slope = tg.grad(loss, a, create_graph=True)
    found = [loss.data, a.grad, b.grad, tg.jvp(loss, a, b.data), tg.vjp(made[-1] + a, a, np.ones((4, 4)))]
    found.append(tg.grad((slope * slope).sum(), b, allow_unused=True))
    assert all(x.place.scope in ("", f"program{seed}") for x in made)
    return [None if f is None else f.tobytes() for f in found]


def in_threads(programs_each):
    """(what the threads found, what one after the other finds)."""
    seeds = [range(k * programs_each, (k + 1) * programs_each) for k in range(THREADS)]
    barrier = threading.Barrier(THREADS)

    def run(mine):
        barrier.wait()
        return [program(seed) for seed in mine]

    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # change threads as often as it goes
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            threaded = list(pool.map(run, seeds))
    finally:
        sys.setswitchinterval(old)
    return threaded, [[program(seed) for seed in mine] for mine in seeds]


def test_programs_in_threads_are_bitwise_equal_to_programs_in_a_row():
    threaded, serial = in_threads(20)
    assert threaded == serial


@pytest.mark.full
def test_eight_threads_of_a_thousand_programs(capsys):
    start = time.perf_counter()
    threaded, serial = in_threads(1000)
    differing = sum(a != b for x, y in zip(threaded, serial, strict=True) for a, b in zip(x, y, strict=True))
    with capsys.disabled():
        print(
            f"\nrow 13: {THREADS} x 1,000 programs, {differing} differ from serial, {time.perf_counter() - start:.0f} s"
        )
    assert differing == 0


def everywhere(function, threads=THREADS):
    """The results of function(k) in so many threads that all start together."""
    barrier = threading.Barrier(threads)

    def run(k):
        barrier.wait()
        return function(k)

    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(run, range(threads)))
    finally:
        sys.setswitchinterval(old)


def test_no_two_tensors_of_different_threads_have_the_same_index():
    found = everywhere(lambda k: [(tg.Tensor(1.0) * 2.0).index for _ in range(2000)])
    together = [index for one in found for index in one]
    assert len(set(together)) == len(together)
    assert all(one == sorted(one) for one in found)


def test_each_thread_has_its_own_mode_scope_and_step():
    w = tg.Tensor([1.0], requires_grad=True)

    def run(k):
        for t in range(200):
            with tg.scope(f"thread{k}"), tg.step(t), tg.no_grad(recording=k % 2 == 0):
                y = w * 2.0
                assert y.place == tg.Place(f"thread{k}", t, k % 2 == 0)
                assert y.requires_grad == (k % 2 == 0)
        return HERE.get()

    assert set(everywhere(run)) == {tg.Place()}


def test_one_tape_may_be_differentiated_by_many_threads_at_once():
    rng = np.random.default_rng(0)
    w = tg.Tensor(rng.normal(size=(8, 8)) * 0.3, requires_grad=True)
    h = tg.Tensor(rng.normal(size=8), requires_grad=True)
    y = h
    for t in range(30):
        with tg.step(t):
            y = (w @ y).tanh()
    loss = y.sum()
    want = tg.grad(loss, [w, h])
    jacobian = tg.jacobian(y, h)
    for (gw, gh), found in everywhere(lambda k: (tg.grad(loss, [w, h]), tg.jacobian(y, h))):
        np.testing.assert_array_equal(gw, want[0])
        np.testing.assert_array_equal(gh, want[1])
        np.testing.assert_array_equal(found, jacobian)
    assert w.grad is None


def test_asyncio_tasks_and_threads_together_keep_places_apart():
    async def task(name):
        seen = []
        with tg.scope(name):
            for t, _ in tg.steps(range(20)):
                with tg.no_grad(recording=t % 2 == 0):
                    await asyncio.sleep(0)
                    seen.append((tg.Tensor([1.0], requires_grad=True) * 2.0).place)
        return seen

    async def main(k):
        return await asyncio.gather(*[task(f"thread{k}task{n}") for n in range(5)])

    for k, tasks in enumerate(everywhere(lambda k: asyncio.run(main(k)), threads=4)):
        for n, seen in enumerate(tasks):
            assert seen == [tg.Place(f"thread{k}task{n}", t, t % 2 == 0) for t in range(20)]


def test_no_gradient_is_lost_where_threads_go_backward_to_the_same_leaf():
    w = tg.Tensor(np.zeros(50), requires_grad=True)

    def work():
        for _ in range(300):
            (w * 1.0).sum().backward()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(before)
    assert (w.grad == 1200.0).all()
