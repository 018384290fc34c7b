"""Answers of several parts print a line for each, and are lists and dicts all the same."""

import numpy as np

import tinygrad_rnn as tg
from tests.trace.test_routes import lstm


def test_a_list_of_parts_prints_a_line_for_each():
    cell, _, _, loss = lstm(steps=3)
    trace = tg.trace_gradient(loss, to=cell.weight_hh)
    for found in (trace.by_crossings("h"), trace.uses(), trace.ledger().lags(), trace.streaming_ledger().lags()):
        assert isinstance(found, list)
        assert len(found) >= 2
        assert str(found).splitlines() == [str(part) for part in found]
    assert str(trace.by_crossings("h")[1]).startswith("1 crossing in h: share ")


def test_a_partition_prints_a_line_for_each_class():
    cell, _, _, loss = lstm(steps=3)
    parts = tg.trace_gradient(loss, to=cell.weight_hh).partition({"high": tg.across("c*"), "rest": ~tg.across("c*")})
    assert isinstance(parts, dict)
    assert [line.split(":")[0] for line in repr(parts).splitlines()] == ["high", "rest"]


def test_where_nothing_is_found_it_says_none():
    x = tg.Tensor(np.ones(2), requires_grad=True)
    found = tg.trace_gradient(x.sum(), to=x).zeros()
    assert found == []
    assert str(found) == "(none)"
