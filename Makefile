# The two commands: `make demo` (the main job on real text) and `make test` (every test).
# Both work from a bare clone: they make .venv and install into it what they need.
PYTHON ?= python3
BIN    := .venv/bin

# The matrices here are small: more threads cost more than they bring, and two that spin on one core cost far more.
export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 1

.PHONY: demo test check check-full bench clean

demo: .venv/demo.installed
	$(BIN)/python -m tinygrad_rnn demo

test: .venv/dev.installed
	$(BIN)/python -m pytest -n auto -q

check: .venv/dev.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check-full: .venv/dev.installed
	$(BIN)/python -m pytest -q -s -m full

bench: .venv/dev.installed
	$(BIN)/python -m tests.benchmarks
	$(BIN)/python -m tests.benchmarks.questions

.venv/%.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tinygrad_rnn needs Python 3.11 or newer; call: make PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

clean:
	rm -rf .venv out .pytest_cache .mypy_cache .ruff_cache
