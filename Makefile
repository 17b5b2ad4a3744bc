# Each target makes its own virtual environment from nothing when it is missing or old.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
NEW_ENOUGH = $(shell $(PYTHON) -c 'import sys; print(sys.version_info >= (3, 11) or "")' 2>/dev/null)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check benchmark clean

demo: $(READY)
	$(BIN)/python -m pipelines.demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 0 tests/test_layers.py
	$(BIN)/python -m pipelines check

benchmark: $(READY)
	$(BIN)/python benchmarks/all.py

$(READY): requirements.txt requirements-dev.txt pyproject.toml
	$(if $(NEW_ENOUGH),,$(error plainfilm needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11))
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
