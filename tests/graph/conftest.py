"""Machines with another Graphviz, or none."""

import pytest

from tinygrad_rnn.graph.pictures import render as renderer


@pytest.fixture
def only_dot(tmp_path, monkeypatch):
    """Put a program of our own on the PATH as `dot`, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(script):
        program = folder / "dot"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return install


@pytest.fixture
def no_dot(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def no_renderer(no_dot, monkeypatch):
    monkeypatch.setattr(renderer.importlib.util, "find_spec", lambda name: None)
