"""Places and no_grad in functions, generators, coroutines, tasks and threads: each sees its own."""

import asyncio
import contextvars
import functools
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


def test_nothing_is_recorded_inside_no_grad():
    w = leaf(2)
    with tg.no_grad():
        y = (w * 2.0).tanh()
        assert not y.requires_grad
        assert y.primitive is None
        assert w.requires_grad
    assert (w * 2.0).requires_grad


def test_leaves_may_be_made_inside_no_grad_and_used_outside():
    with tg.no_grad():
        w = tg.Tensor([1.0], requires_grad=True)
    np.testing.assert_array_equal(tg.grad((w * w).sum(), w), [2.0])


def test_gradients_may_be_asked_for_inside_no_grad():
    w = leaf(2)
    loss = (w * w * w).sum()
    with tg.no_grad():
        np.testing.assert_array_equal(tg.grad(loss, w), [3.0, 3.0])
        slope = tg.grad(loss, w, create_graph=True)
        assert here() == tg.Place("", None, False)
    np.testing.assert_array_equal(tg.grad(slope.sum(), w), [6.0, 6.0])


def test_the_sweep_that_is_recorded_is_at_the_scope_backward_and_at_the_step_of_what_it_differentiates():
    w = leaf(2)
    with tg.scope("cell"), tg.step(5):
        y = (w * w).tanh()
    slope = tg.grad(y.sum(), w, create_graph=True)
    made, to_visit = set(), [slope]
    while to_visit:
        node = to_visit.pop()
        if node.primitive is not None:
            made.add(node.place)
            to_visit += node.inputs
    assert tg.Place("backward/cell", 5) in made
    assert here() == tg.Place()


# Decorators ----------------------------------------------------------------------------------------------------------


def test_a_decorated_function_runs_inside_keeps_its_name_and_may_recurse():
    @tg.scope("f")
    def f(n):
        """What f does."""
        return here().scope if n == 0 else f(n - 1)

    assert f(2) == "f/f/f"
    assert (f.__name__, f.__doc__) == ("f", "What f does.")
    assert here() == tg.Place()


def test_a_decorated_function_takes_keywords_too():
    @tg.scope("f")
    def plain(a, *, b):
        return a, b, here().scope

    @tg.scope("f")
    def generator(a, *, b):
        yield a, b, here().scope

    @tg.scope("f")
    async def coroutine(a, *, b):
        return a, b, here().scope

    expected = (1, 2, "f")
    assert plain(1, b=2) == next(generator(1, b=2)) == asyncio.run(coroutine(1, b=2)) == expected


def test_a_decorated_method_and_a_decorated_lambda():
    class Model:
        @tg.no_grad()
        def predict(self, x):
            return (x * 2.0).requires_grad

    assert not Model().predict(leaf(2))
    assert not tg.no_grad()(lambda x: (x * 2.0).requires_grad)(leaf(2))


@pytest.mark.parametrize("wrong", [3, int, functools.partial(int), leaf(2)], ids=["int", "class", "partial", "Tensor"])
def test_what_is_not_a_function_cannot_be_decorated(wrong):
    with pytest.raises(TypeError, match="decorates a function"):
        tg.no_grad()(wrong)


def test_without_parentheses_the_decorator_says_so():
    with pytest.raises(TypeError, match="with parentheses"):

        @tg.no_grad
        def f(x):
            return x


def test_a_generator_suspended_inside_with_leaks_as_python_has_it():
    """Documented, not wished for: the caller of a suspended generator is inside its `with`."""

    def generator():
        with tg.no_grad():
            yield

    g = generator()
    next(g)
    assert not here().recording
    g.close()
    assert here().recording


def test_a_decorated_generator_is_inside_only_while_it_runs():
    @tg.no_grad()
    @tg.scope("g")
    def generator():
        received = yield here()
        while received is not None:
            received = yield (received, here())
        return "done"

    inside = tg.Place("g", None, False)
    g = generator()
    assert next(g) == inside
    assert here() == tg.Place()
    with tg.step(7):
        assert g.send("a") == ("a", inside._replace(step=7))
        assert here() == tg.Place("", 7)
    with pytest.raises(StopIteration) as stop:
        g.send(None)
    assert stop.value.value == "done"


def test_a_decorated_generator_may_be_thrown_into_and_closed():
    log = []

    @tg.scope("g")
    def generator():
        try:
            yield 1
        except KeyError:
            log.append(here().scope)
        try:
            yield 2
        finally:
            log.append(here().scope)

    g = generator()
    next(g)
    assert g.throw(KeyError) == 2
    assert here() == tg.Place()
    g.close()
    assert log == ["g", "g"]
    g = generator()
    next(g)
    with pytest.raises(ValueError, match="not caught"):
        g.throw(ValueError("not caught"))
    assert here() == tg.Place()


def test_several_decorated_generators_may_be_interleaved():
    @tg.no_grad()
    def generator(name):
        for k in range(3):
            with tg.scope(name):
                place = here()
            yield k, place

    for (_, a), (_, b) in zip(generator("a"), generator("b"), strict=True):
        assert (a.scope, b.scope) == ("a", "b")
        assert here() == tg.Place()


def test_the_time_loop_may_be_inside_a_decorated_generator():
    @tg.scope("cell")
    def states(xs):
        with tg.scope("inner"):
            yield here().scope
        yield here().scope

    assert [list(states(x)) for _, x in tg.steps(XS[:1])] == [["cell/inner", "cell"]]


# Coroutines, tasks, threads ------------------------------------------------------------------------------------------


def test_tasks_have_places_of_their_own():
    async def task(n):
        with tg.scope(f"task{n}"), tg.step(n):
            await asyncio.sleep(0.001 * (3 - n))
            first = here()
            with tg.no_grad():
                await asyncio.sleep(0.001 * n)
                second = here()
            return first, second, here()

    async def main():
        with tg.scope("main"):
            found = await asyncio.gather(*[task(n) for n in range(3)])
            assert here() == tg.Place("main")
        return found

    for n, (first, second, third) in enumerate(asyncio.run(main())):
        assert first == third == tg.Place(f"main/task{n}", n, True)
        assert second == tg.Place(f"main/task{n}", n, False)


def test_one_scope_object_in_two_tasks_raises_rather_than_mixing_them_up():
    shared = tg.no_grad()

    async def task(n):
        with tg.step(n):
            with shared:
                await asyncio.sleep(0.001)
            return here().step

    async def main():
        return await asyncio.gather(task(1), task(2), return_exceptions=True)

    first, second = asyncio.run(main())
    assert first == 1
    assert isinstance(second, RuntimeError)
    assert "make a new one" in str(second)


def test_a_decorated_coroutine_runs_inside_and_its_caller_does_not():
    @tg.no_grad()
    @tg.scope("c")
    async def coroutine():
        await asyncio.sleep(0)
        return here()

    async def main():
        task = asyncio.ensure_future(coroutine())
        places = []
        while not task.done():
            places.append(here())
            await asyncio.sleep(0)
        return task.result(), places, await coroutine(), here()

    result, places, again, after = asyncio.run(main())
    assert result == again == tg.Place("c", None, False)
    assert set(places) == {tg.Place()}
    assert after == tg.Place()


def test_an_async_generator_cannot_be_decorated_and_the_message_says_what_to_do():
    with pytest.raises(TypeError, match=r"write `with tg\.no_grad\(\.\.\.\):` inside"):

        @tg.no_grad()
        async def generator():
            yield 1


def test_a_new_thread_starts_outside_of_everything():
    found = {}
    with tg.scope("main"), tg.no_grad():
        thread = threading.Thread(target=lambda: found.update(place=here()))
        thread.start()
        thread.join()
    assert found["place"] == tg.Place()


def test_a_copied_context_takes_the_place_with_it():
    with tg.scope("main"), tg.step(2):
        context = contextvars.copy_context()
    assert context.run(here) == tg.Place("main", 2)
    assert here() == tg.Place()
