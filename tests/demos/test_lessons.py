"""Every lesson runs, and what it says is what its numbers say."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.demos.test_first_light import DEMOS, load

LESSONS = sorted(path.stem for path in DEMOS.glob("[0-9][0-9]_*.py"))


@pytest.mark.parametrize("lesson", [name for name in LESSONS if name != "01_first_light"])
def test_it_runs_as_a_script(lesson, tmp_path):
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(DEMOS / f"{lesson}.py")], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("1. ")
    assert "nan" not in ran.stdout or lesson == "08_step_through"  # which is about one


def test_stepping_through_finds_the_operation_the_operand_the_step_and_the_line(capsys):
    load("08_step_through").main()
    said = capsys.readouterr().out
    source = (DEMOS / "08_step_through.py").read_text().splitlines()
    line = next(k for k, text in enumerate(source, 1) if "tg.log(" in text)
    assert re.search(rf"forward: g\[7\] = log\(add #\d+\)  \(gate, step 7\)  08_step_through.py:{line}\n", said)
    assert f"NaN is made by g[7] = log(...), forward: gate, step 7; 08_step_through.py:{line}" in said
    assert all(share == "100.00%" for share in re.findall(r"together (\S+) of the gradient", said))
    assert said.count("together") >= 3
    assert said.count(": True") == 3
    assert ": False" not in said


def test_the_formula_by_hand_is_the_gradient_and_each_slip_is_not():
    lesson = load("02_vanishing_term_by_term")
    cell, _, states, loss = lesson.model()
    w, h = np.array(cell.weight_hh.data), [np.array(state.data) for state in states]
    truth = lesson.tg.grad(loss, cell.weight_hh)
    right = lesson.gradient(lesson.terms_by(h, w, lesson.right_factor, lesson.right_direct))
    assert np.allclose(right, truth, rtol=1e-12, atol=1e-14)
    for name, wrong in lesson.slips(h, w, states, cell.weight_hh).values():
        assert np.linalg.norm(wrong - truth) > 0.05 * np.linalg.norm(truth), name


def test_each_slip_of_the_pen_is_wrong_by_what_is_printed():
    lesson = load("10_slips_of_the_pen")
    right, slipped = lesson.input_index()
    assert right < 1e-12
    assert slipped > 0.5
    complaint, as_numbers = lesson.bracket()
    assert complaint == "(1, 6) @ (6, 36) @ (6, 6) does not exist"
    assert as_numbers < 1e-15
    assert np.allclose([norm for _, norm in lesson.powers_below_one()][:4], [20.0, 20.0, 6.3, 0.39], rtol=2e-2)
    off, heard = lesson.output_gate_left_out()
    assert off > 0.5
    assert not heard
    off, rounds = lesson.gates_that_read_what_they_make()
    assert off > 0.1
    assert rounds > 2
    changing, kept = lesson.cell_states(1.0)
    assert changing > 10
    assert kept == 1.0
    still, lost = lesson.cell_states(0.9)
    assert still < 1e-12
    assert np.isclose(lost, 0.9**100)
    far, near = lesson.not_zero()
    assert -np.inf < far < -50 < near
    same, flipped = lesson.meaning_of_z()
    assert flipped < 1e-14 < 0.5 < same


def test_what_crosses_a_boundary_crosses_mostly_in_c(capsys):
    lesson = load("03_why_an_lstm_keeps_the_far_terms")
    lesson.what_crosses()
    assert 80 <= int(re.search(r"Over all boundaries (\d+)%", capsys.readouterr().out)[1]) <= 99


def test_the_shares_by_detours_add_up(capsys):
    lesson = load("03_why_an_lstm_keeps_the_far_terms")
    lesson.which_paths()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.count("%") == 5]
    assert len(rows) == 4
    for row in rows:
        assert abs(sum(map(float, re.findall(r"(-?[\d.]+)%", row))) - 100) < 0.4


def test_every_lesson_is_in_the_readme():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert all(f"{lesson}.py" in readme for lesson in LESSONS)
