# Two commands do everything: `make demo` and `make test`. Both make a virtual environment in this checkout.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two test processes share the cores: one thread each, else they wait for each other.
ONE_THREAD := OMP_NUM_THREADS=1
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
INPUTS := pyproject.toml constraints.txt
SHARE ?= 1
SEED ?= 0

.PHONY: demo test test-slow test-bridges test-hostile lint format docs serve-docs clean

demo: $(VENV)/.demo ## re-rank real handwritten digits, print a table, draw a picture (offline, under a minute)
	$(BIN)/rerankit demo

test: lint ## lint, types, and all tests but the slow ones
	$(ONE_THREAD) $(BIN)/python -m pytest --numprocesses 2

test-slow: $(VENV)/.dev ## the tests that take longer than ten seconds each
	$(BIN)/python -m pytest -m slow --timeout 900

test-bridges: $(VENV)-bridges/.ready ## the tests against libraries that objects are taken from, in an environment of their own
	$(VENV)-bridges/bin/python -m pytest tests/adapters tests/test_exports.py tests/test_docs.py -k "adapters or exports or inputs"

test-hostile: $(VENV)/.dev ## damaged files, kills, full disks and threads in full: SEED=1 SHARE=0.1 draws others, or fewer
	mkdir -p build && rm -f build/reliability.json
	RERANKIT_HOSTILE=$(SHARE) RERANKIT_HOSTILE_SEED=$(SEED) RERANKIT_HOSTILE_REPORT=$(abspath build/reliability.json) \
		$(BIN)/python -m pytest tests/hostile tests/test_conformance.py -n 0 -m 'slow or not slow' -k 'hostile or threads' --timeout 7200
	$(BIN)/python -m json.tool build/reliability.json

lint: $(VENV)/.dev ## ruff, format check, mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.docs ## build the documentation into site/, warnings are errors
	$(BIN)/mkdocs build --strict

serve-docs: $(VENV)/.docs
	$(BIN)/mkdocs serve

clean:
	rm -rf $(VENV) $(VENV)-bridges build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(INPUTS) | $(BIN)/python
	$(PIP) install --constraint constraints.txt --editable '.[demo]'
	touch $@

$(VENV)/.dev: $(INPUTS) plugins/rerankit-example/pyproject.toml | $(BIN)/python
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	$(PIP) install --constraint constraints.txt --editable plugins/rerankit-example
	touch $@ $(VENV)/.demo

$(VENV)-bridges/.ready: $(INPUTS)
	$(PYTHON) -m venv $(VENV)-bridges
	$(VENV)-bridges/bin/python -m pip --quiet --disable-pip-version-check install --editable '.[bridges]'
	touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(PIP) install --constraint constraints.txt --editable '.[docs]'
	touch $@
