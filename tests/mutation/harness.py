"""Mutants put into the running engine, one at a time, and taken out again."""

from __future__ import annotations

import ast
import contextvars
import functools
import resource
import signal
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.mutation.mutants import Mutant, changed, parsed
from tinygrad_rnn.engine import primitives as p

LONGEST = 20.0  # seconds; a mutant that hangs is killed too
LARGEST = 4 << 30  # bytes of address space; and so is one that fills the memory


@contextmanager
def applied(mutant: Mutant) -> Iterator[list[Any]]:
    """The engine with the mutant in it. Yields the functions and primitives that differ.

    The mutated module is executed on its own; then the code of each live function that differs is exchanged, so that
    every module that imported it sees the mutant.
    """
    live = sys.modules[mutant.module]
    scratch = types.ModuleType(mutant.module)
    scratch.__dict__.update(__package__=live.__package__, __file__=live.__file__)
    tree = cached_tree(mutant.module)
    with changed(tree, mutant.path, mutant.replacement):
        code = compile(ast.fix_missing_locations(tree), str(live.__file__), "exec")
    exec(code, scratch.__dict__)
    undo: list[Callable[[], None]] = []
    differing: list[Any] = []
    try:
        for owner, name, ours, theirs in pairs(live, scratch):
            exchange(owner, name, ours, theirs, undo, differing)
        yield differing
    finally:
        for step in reversed(undo):
            step()


@functools.cache
def cached_tree(module: str) -> Any:
    return parsed(module)


def pairs(live: Any, scratch: Any) -> Iterator[tuple[Any, str, Any, Any]]:
    """(owner, name, live function, mutated function) for the functions, methods and primitives of a module."""
    for name, ours in list(vars(live).items()):
        theirs = vars(scratch).get(name)
        if isinstance(ours, types.FunctionType | functools._lru_cache_wrapper) and ours.__module__ == live.__name__:
            yield live, name, ours, theirs
        elif isinstance(ours, type) and ours.__module__ == live.__name__:
            for member, method in list(vars(ours).items()):
                if isinstance(method, types.FunctionType):
                    yield ours, member, method, vars(theirs)[member]
                elif isinstance(method, property):
                    yield method.fget, member, method.fget, vars(theirs)[member].fget
        elif isinstance(ours, p.Primitive):
            for part in ("forward", "rules", "add_into", "analytic"):
                yield ours, part, getattr(ours, part), getattr(theirs, part)


def exchange(
    owner: Any, name: str, ours: Any, theirs: Any, undo: list[Callable[[], None]], differing: list[Any]
) -> None:
    if isinstance(ours, types.FunctionType) and isinstance(theirs, types.FunctionType):
        if ours.__code__ != theirs.__code__:
            undo.append(functools.partial(setattr, ours, "__code__", ours.__code__))
            ours.__code__ = theirs.__code__
            differing.append(owner if isinstance(owner, p.Primitive) else ours)
    elif isinstance(ours, functools._lru_cache_wrapper):
        exchange(owner, name, ours.__wrapped__, theirs.__wrapped__, undo, differing)
        undo.append(ours.cache_clear)
        ours.cache_clear()
    elif isinstance(ours, tuple):
        for k, rule in enumerate(ours):
            exchange(owner, f"{name}{k}", rule, theirs[k], undo, differing)
    elif isinstance(ours, p.EverySlot):
        exchange(owner, name, ours.rule, theirs.rule, undo, differing)
    elif ours is not theirs and ours != theirs and isinstance(owner, p.Primitive):
        undo.append(functools.partial(setattr, owner, name, ours))
        setattr(owner, name, theirs)
        differing.append(owner)


def verdict(mutant: Mutant, checks: Callable[[list[Any]], None]) -> str:
    """How the checks killed the mutant: the exception that they raised; or 'survived'.

    checks: called with the functions and primitives that differ, and raises if it notices.
    """
    try:
        with applied(mutant) as differing, at_most(LONGEST, LARGEST):
            # In a context of its own: a mutant may leave the place (scope, step, recording) as it should not.
            contextvars.copy_context().run(checks, differing)
    except (Exception, pytest.fail.Exception) as error:
        return type(error).__name__
    return "survived"


@contextmanager
def at_most(seconds: float, size: int) -> Iterator[None]:
    def hangs(_: int, frame: types.FrameType | None) -> None:
        # What is raised where hypothesis counts the time of the collector comes out nowhere; the alarm comes again.
        if frame is None or frame.f_code.co_name != "gc_callback":
            raise TimeoutError(f"still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, hangs)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    resource.setrlimit(resource.RLIMIT_AS, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
