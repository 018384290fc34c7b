"""The checks that have to notice a mutant: our own tests, called directly, the quick and telling ones first."""

from __future__ import annotations

import contextlib
import inspect
import io
import itertools
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from _pytest.mark import ParameterSet

import tinygrad_rnn as tg
from tests.engine import (
    mistakes,
    test_conventions,
    test_derivatives,
    test_derivatives_targets,
    test_gradcheck,
    test_laws,
    test_laws_of_arrays,
    test_misuse,
    test_primitives_all_samples,
    test_primitives_errors,
    test_primitives_numpy,
    test_random_programs,
    test_second_order,
    test_table,
)
from tests.engine.checks import CHECKS, forward_is_right, rules_are_the_derivative, sweeps_agree
from tests.engine.samples import samples_of
from tests.engine.test_primitives_numpy import ARRAY
from tests.nn import test_frozen_numbers, test_landmarks, test_textbook_gru
from tests.nn.frozen.drawn import configurations
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
    for lay in (np.ascontiguousarray, np.asfortranarray):
        test_laws_of_arrays.test_a_large_linear_is_right_however_its_weights_lie(lay, 40, (128, 256))
    test_laws_of_arrays.test_a_base_of_small_whole_numbers_makes_no_gradient_less_precise()
    test_primitives_errors.test_a_bias_that_does_not_fit_is_refused_at_once_and_not_on_the_way_back()
    test_table.test_what_is_not_complex_analytic_is_marked_so()
    test_table.test_comparisons_and_sign_let_no_gradient_flow_and_all_others_do()
    for compare in test_primitives_numpy.COMPARISONS:
        test_primitives_numpy.test_comparisons_are_elementwise_on_either_side_and_carry_no_gradient(compare, ARRAY)
    for x, w in [((2, 3), (3,)), ((), (2, 3)), ((2, 4), (2, 3))]:
        test_primitives_errors.test_linear_refuses_what_is_not_a_matrix_of_weights_that_fits(x, w)
    for name in test_primitives_errors.MISUSES:
        test_primitives_errors.test_a_misuse_names_the_operation_the_operands_and_the_place(name)
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
    for f in (tg.sigmoid, tg.softplus, tg.tanh, tg.logsumexp, tg.softmax, tg.log_softmax):
        test_conventions.test_no_overflow_and_no_warning_for_any_size_of_number(f, np.float32)
    test_conventions.test_the_sigmoid_underflows_where_the_smallest_numbers_end_and_not_before(np.float32)
    for dtype in (np.int64, np.int8, np.uint8):
        test_conventions.test_squashing_functions_of_other_numbers_have_the_same_values(dtype)
    test_conventions.test_a_power_of_0_has_the_derivative_0_by_its_exponent_also_where_it_is_infinite()
    for f in (tg.softmax, tg.log_softmax):
        test_conventions.test_a_softmax_of_whole_numbers_is_that_of_the_same_floats(f, np.uint8)
    test_conventions.test_logsumexp_of_nothing_possible_is_minus_infinity_without_a_warning()
    for extreme in (tg.max, tg.min):
        test_conventions.test_the_weights_at_a_tie_are_equal_and_sum_to_1(extreme, (0, 2), True)


def notice_sweep(differing: list[Any]) -> None:
    """Raise if sweeps, tapes or derivatives are not right."""
    for name in ("add", "multiply", "slice", "gather", "concatenate", "stack", "linear"):
        for sample in samples_of(name):
            sweeps_agree(sample)
    test_table.test_the_condition_of_where_gets_no_gradient()
    test_gradcheck.test_broadcasting_is_undone_in_the_complex_numbers_of_the_check_too()
    for code in mistakes.GRADIENTS:
        test_misuse.test_misuse_is_explained(code)
    test_random_programs.compare(range(100))
    for module in (test_laws, test_derivatives, test_derivatives_targets, test_laws_of_arrays, test_second_order):
        run(module)


def notice_indexing(differing: list[Any]) -> None:
    """Raise if what is inside the brackets is not understood."""
    for name in ("slice", "gather", "put_slice", "scatter_add"):
        for sample in samples_of(name):
            forward_is_right(sample)
            rules_are_the_derivative(sample)
    test_laws_of_arrays.test_the_index_that_a_gather_keeps_is_a_copy_that_cannot_be_written_to()
    run(test_misuse)


def notice_cells(differing: list[Any]) -> None:
    """Raise if the cells and layers are not those of PyTorch, and the textbook's GRU not that of the paper."""
    with contextlib.redirect_stdout(io.StringIO()):
        _notice_cells()


def _notice_cells() -> None:
    for case in test_frozen_numbers.MODULES:
        test_frozen_numbers.test_a_module_computes_and_differentiates_as_pytorch_does(case)
    run(test_textbook_gru)
    test_frozen_numbers.check_sweep(list(zip(configurations(40), test_frozen_numbers.SWEEP, strict=False)))
    run(test_landmarks)


def notice_programs() -> None:
    test_random_programs.compare(range(60))
    test_second_order.compare(range(40))


# Tests called directly ---------------------------------------------------------------------------------------------


def run(module: types.ModuleType) -> None:
    """Every test of a module, but for the full-size ones and those with fixtures other than these two."""
    for name, test in list(vars(module).items()):
        if not name.startswith("test_") or not callable(test):
            continue
        marks = getattr(test, "pytestmark", [])
        if any(mark.name == "full" for mark in marks):
            continue
        wanted = set(inspect.signature(test).parameters)
        for values in itertools.product(*[table_of(mark) for mark in marks if mark.name == "parametrize"]):
            arguments = dict(itertools.chain.from_iterable(values))
            missing = wanted - arguments.keys()
            if missing <= {"monkeypatch", "calls"}:
                with pytest.MonkeyPatch.context() as patch:
                    fixtures = {
                        "monkeypatch": patch,
                        "calls": test_laws.counted_calls(patch) if "calls" in missing else 0,
                    }
                    test(**arguments, **{name: fixtures[name] for name in missing})


def table_of(mark: pytest.Mark) -> list[list[tuple[str, Any]]]:
    """A row of (argument, value) for each case of a parametrize mark."""
    names, rows = mark.args
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    rows = [row.values if isinstance(row, ParameterSet) else row if len(names) > 1 else [row] for row in rows]
    return [list(zip(names, row, strict=True)) for row in rows]
