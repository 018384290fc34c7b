"""The README's snippets run as they stand, and print what they are said to print."""

import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def snippets():
    """-> (code, the output shown below it or None), in order."""
    blocks = re.findall(r"```(python|text)\n(.*?)```", README.read_text(), flags=re.DOTALL)
    for k, (kind, code) in enumerate(blocks):
        if kind == "python":
            following = blocks[k + 1] if k + 1 < len(blocks) else ("", "")
            yield code, following[1] if following[0] == "text" else None


def run():
    namespace, printed = {}, []
    for code, shown in snippets():
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, str(README), "exec"), namespace)
        printed.append((out.getvalue(), shown))
    return printed


def test_every_snippet_runs_and_prints_what_it_is_said_to_print(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = run()
    assert len(printed) >= 3
    for actual, shown in printed:
        assert actual == (shown or "")
    assert (tmp_path / "lstm.png").read_bytes().startswith(b"\x89PNG")


def test_the_commands_of_the_readme_are_the_ones_that_ci_runs():
    ci = (README.parent / ".ci" / "run").read_text()
    for command in ("make demo", "make test"):
        assert f"    {command} " in README.read_text()
        assert command in ci


def test_the_pictures_of_the_readme_are_in_the_repository():
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README.read_text()):
        assert (README.parent / path).is_file(), path
