"""The report: its numbers are those of the answers, hostile names stay text, files are written whole or not at all."""

import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.trace import percent

HOSTILE = '<script>alert("1")</script> & | \u202e'


def trace(name="x", steps=6):
    rng = np.random.default_rng(0)
    cell = nn.LSTMCell(2, 3, rng=rng)
    x0 = tg.Tensor(rng.normal(size=2), requires_grad=True, name=name)
    h, c = tg.Tensor(np.zeros(3)), tg.Tensor(np.zeros(3))
    for _, x in tg.steps([x0, *rng.normal(size=(steps - 1, 2))]):
        h, c = cell(x, (h, c))
    return tg.trace_gradient((h * h).sum(), to=x0)


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("suffix", ["html", "md", "txt"])
def test_it_holds_the_numbers_of_every_answer(tmp_path, suffix):
    asked = trace()
    path = asked.save(tmp_path / f"trace.{suffix}")
    said = path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]
    numbers = [
        f"{asked.count_paths():,} paths",
        f"{asked.across('c*').share:.2%}",
        f"{asked.flow().boundaries[-1].net:.2%}",
        f"{asked.top_paths(1)[0].share:.2%}",
        f"{asked.mean_crossings('h'):.2f} times on average",
    ]
    assert all(number in said for number in numbers)


def test_boundary_flow_and_spectrum_come_before_all_else_and_their_cells_are_those_of_the_answers(tmp_path):
    rng = np.random.default_rng(0)
    cell = nn.LSTMCell(2, 3, rng=rng)
    h, c = tg.Tensor(np.zeros(3)), tg.Tensor(np.zeros(3))
    for _, x in tg.steps(rng.normal(size=(9, 2))):
        h, c = cell(x, (h, c))
    asked = tg.trace_gradient((h * h).sum(), to=cell.weight_hh)
    said = asked.save(tmp_path / "trace.txt").read_text(encoding="utf-8")
    titles = [line for line, under in itertools.pairwise(said.splitlines()) if set(under) == {"-"}]
    assert titles[1:4] == [
        "What crosses from step to step",
        "By lag and by number of crossings in c",
        "By lag and by number of crossings in h",
    ]
    spectrum = asked.spectrum("h")
    begin = said.splitlines().index("By lag and by number of crossings in h") + 3
    for row, line in enumerate(said.splitlines()[begin : begin + 9]):
        shares = [*spectrum.shares[row, :6].tolist(), float(spectrum.shares[row, 6:].sum())]
        exists = [*spectrum.connected[row, :6], spectrum.connected[row, 6:].any()]
        expected = [percent(share) if there else "-" for share, there in zip(shares, exists, strict=True)]
        assert line.replace("no path", "-").split()[1:] == expected


def test_hostile_names_are_shown_and_never_run(tmp_path):
    reader = Reader()
    reader.feed(trace(HOSTILE).save(tmp_path / "trace.html").read_text(encoding="utf-8"))
    assert reader.tags <= {
        *["html", "meta", "title", "style", "h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td"]
    }
    assert HOSTILE in "".join(reader.text)


def test_a_long_report_says_what_it_leaves_out(tmp_path):
    said = trace(steps=60).save(tmp_path / "trace.txt").read_text(encoding="utf-8")
    assert re.search(r"The first 40 rows; (19|20) more are left out\.", said)


def test_a_gradient_of_0_says_where_it_was_born(tmp_path):
    x = tg.Tensor([-1.0], requires_grad=True)
    with tg.step(2):
        y = tg.relu(x)
    said = tg.trace_gradient(y.sum(), to=x).save(tmp_path / "trace.txt").read_text(encoding="utf-8")
    assert "relu is flat there" in said
    assert "There are no shares." in said


def test_another_ending_or_folder_is_refused_and_a_failure_keeps_the_old_file(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"\.html, \.md, \.txt"):
        trace().save(tmp_path / "trace.pdf")
    with pytest.raises(FileNotFoundError, match="make it first"):
        trace().save(tmp_path / "nowhere" / "trace.md")
    old = tmp_path / "trace.md"
    old.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        trace().save(old)
    assert old.read_text() == "old"
    assert list(tmp_path.iterdir()) == [old]


def test_a_place_that_cannot_be_written_to_is_named_with_the_reason_and_nothing_is_left_there(tmp_path):
    folder = tmp_path / "trace.html"
    folder.mkdir()
    long = tmp_path / f"{'a' * 300}.md"
    for target, reason in ((folder, "it is a folder"), (long, "File name too long")):
        with pytest.raises(OSError) as refused:
            trace().save(target)
        assert f"cannot save {target}: {reason}" in str(refused.value)
        assert "unfinished" not in str(refused.value)
    assert list(tmp_path.iterdir()) == [folder]


def test_through_a_link_the_file_that_it_points_to_is_written(tmp_path):
    link, real = tmp_path / "link.txt", tmp_path / "real.txt"
    link.symlink_to(real)
    assert trace().save(link) == link
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8").startswith("Gradient by")


def test_the_verdict_on_the_way_back_through_time_stands_first(tmp_path):
    asked = trace(steps=12)
    said = asked.save(tmp_path / "trace.txt").read_text(encoding="utf-8").splitlines()
    verdict = tg.diagnose(asked.paths.losses).sentences[0]
    assert said[2] == f"Back through time: {verdict}"
    assert "The gradient " in said[2]
    x = tg.Tensor(2.0, requires_grad=True)
    assert "Back through time" not in tg.trace_gradient(x * x, to=x).save(tmp_path / "no.txt").read_text()
