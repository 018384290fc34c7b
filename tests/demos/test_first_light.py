"""The main job, with fewer updates: it runs, writes what it says, and says what is true."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

DEMOS = Path(__file__).parents[2] / "demos"


def load(name):
    spec = importlib.util.spec_from_file_location(name, DEMOS / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # registered, since dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.syspath_prepend(str(DEMOS))
    module = load("01_first_light")
    monkeypatch.setattr(module, "UPDATES", 3)
    monkeypatch.setattr(module, "HIDDEN", 8)
    return module


def test_it_writes_a_plot_and_three_pictures_and_prints_tables(demo, tmp_path, capsys):
    demo.main(tmp_path / "out")
    written = {path.name: path.read_bytes()[:4] for path in (tmp_path / "out").iterdir()}
    names = {"gradient_by_lag.png", "rnn_unrolled.png", "lstm_unrolled.png", "gru_unrolled.png"}
    assert written == dict.fromkeys(names, b"\x89PNG")
    printed = capsys.readouterr().out
    assert "Before training: contributions" in printed
    assert "After training: contributions" in printed
    assert printed.count("\n  5. ") == 1


def test_the_ngram_estimates_are_probabilities(monkeypatch):
    """For every context the mixed estimates of all characters sum to 1: checked on a small text, by hand for n = 2."""
    monkeypatch.syspath_prepend(str(DEMOS))
    characters = load("characters")
    train = np.array([1, 2, 1, 2, 1, 0, 1, 2])
    text = characters.Text("abc", train, np.array([2]), "")
    (unigram,) = characters.ngram_bits(text, 1)
    # Witten and Bell: (count + kinds * uniform) / (total + kinds) = (3 + 3/3) / (8 + 3)
    assert unigram == pytest.approx(-np.log2(4 / 11))
    total = sum(2.0 ** -characters.ngram_bits(characters.Text("abc", train, np.array([k]), ""), 2)[1] for k in range(3))
    assert total == pytest.approx(1.0)


def test_the_text_is_english_and_is_split_nine_to_one(monkeypatch):
    monkeypatch.syspath_prepend(str(DEMOS))
    text = load("characters").load()
    assert len(text.train) > 8 * len(text.test) > 100_000
    assert " the " in "".join(text.alphabet[k] for k in text.train[:5000])
    assert np.array_equal(text.encode("the"), [text.alphabet.index(c) for c in "the"])
