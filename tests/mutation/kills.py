"""The checks that have to notice a mutant: our own tests, called directly, the quick and telling ones first."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.engine import (
    test_conventions,
    test_laws,
    test_laws_of_arrays,
    test_primitives_all_samples,
    test_primitives_errors,
    test_random_programs,
    test_second_order,
)
from tests.engine.checks import CHECKS
from tests.engine.samples import samples_of
from tinygrad_rnn.engine import primitives as p


def notice_primitives(differing: list[Any]) -> None:
    """Raise if the table is not right: the samples of the primitives that a mutant touches, then all the rest."""
    for name in touched(differing):
        for sample, check in itertools.product(samples_of(name), CHECKS):
            check(sample)
    notice_conventions()
    for name in touched(differing):
        test_primitives_all_samples.test_float32_agrees_with_float64(name)
        test_laws_of_arrays.test_constants_of_lower_precision_make_no_gradient_less_precise(name, np.float32)
    test_laws_of_arrays.test_a_base_of_small_whole_numbers_makes_no_gradient_less_precise()
    test_primitives_errors.test_a_bias_that_does_not_fit_is_refused_at_once_and_not_on_the_way_back()
    for name in test_primitives_errors.MISUSES:
        test_primitives_errors.test_a_misuse_names_the_operation_the_operands_and_the_place(name)
    notice_laws()
    notice_programs()


def touched(differing: list[Any]) -> list[str]:
    """The primitives whose functions differ, or call one that does."""
    names = {thing.__name__ for thing in differing if isinstance(thing, types.FunctionType)}
    return [
        name
        for name, primitive in p.TABLE.items()
        if primitive in differing or any(reaches(f, names, set()) for f in functions_of(primitive))
    ]


def functions_of(primitive: p.Primitive) -> Iterator[Callable[..., Any]]:
    rules = primitive.rules
    yield from [primitive.forward, rules.rule] if isinstance(rules, p.EverySlot) else [primitive.forward, *rules]
    if primitive.add_into:
        yield primitive.add_into


def reaches(f: Any, names: set[str], seen: set[str]) -> bool:
    """Whether a function is one of these, or calls one, or one that calls one."""
    if not isinstance(f, types.FunctionType) or f.__name__ in seen - {"<lambda>"}:
        return False
    seen.add(f.__name__)
    called = names_in(f.__code__)
    return f.__name__ in names or bool(called & names) or any(reaches(vars(p).get(n), names, seen) for n in called)


def names_in(code: types.CodeType) -> set[str]:
    inner = [names_in(c) for c in code.co_consts if isinstance(c, types.CodeType)]
    return {*code.co_names}.union(*inner)


def notice_conventions() -> None:
    for name in test_conventions.CONVENTIONS:
        test_conventions.test_convention(name)
    for name in test_conventions.SECOND_ORDER:
        test_conventions.test_second_derivative_at_a_special_point(name)
    for x in (-700.0, -37.0, -1e-9, 0.0, 1e-9, 36.0, 700.0):
        test_conventions.test_squashing_functions_are_accurate_far_out(x)
    for extreme in (test_conventions.tg.max, test_conventions.tg.min):
        test_conventions.test_the_weights_at_a_tie_are_equal_and_sum_to_1(extreme, (0, 2), True)


LAWS = [
    test_laws.test_a_route_through_one_edge_is_the_sweep_with_the_others_cut,
    test_laws.test_what_an_edge_does_to_what_passes_it_goes_on,
]


def notice_laws() -> None:
    for law in LAWS:
        law()


def notice_programs() -> None:
    test_random_programs.compare(range(60))
    test_second_order.compare(range(40))
