# Two commands do everything: `make demo` and `make test`. Both make a virtual environment in this checkout.
PYTHON ?= python3
VENV ?= .venv
OLDEST_PYTHON ?= python3.10
BIN := $(VENV)/bin
# Two test processes share the cores: one thread each, else they wait for each other. What is
# compiled while tests are collected is kept, whatever the environment says: they start many processes.
ONE_THREAD := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
PLUGINS := $(wildcard plugins/*)
INPUTS := pyproject.toml constraints.txt
TEST_TOOLS := pytest pytest-timeout pytest-xdist hypothesis
BASE_TESTS := plugins/rerankit-example tests/test_conformance.py tests/cli/test_commands.py tests/plugins tests/formats tests/reading tests/files tests/scores tests/metrics tests/test_problem.py tests/test_ranking.py
# rich before 15 fills a terminal's lines in another way.
NOT_OLDEST := not (families or wrapped)
SHARE ?= 1
SEED ?= 0

.PHONY: demo test test-slow test-bridges test-oldest test-pythons test-hostile package lint format docs serve-docs clean

demo: $(VENV)/.demo ## digits, search with several sentences, composed retrieval: tables, and a page (offline, under a minute)
	$(BIN)/rerankit demo

test: lint ## lint, types, and all tests but the slow ones
	$(ONE_THREAD) $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

test-slow: $(VENV)/.dev ## the tests that take longer than ten seconds each
	$(ONE_THREAD) $(BIN)/python -m pytest -m slow --numprocesses 2 --dist worksteal --timeout 900

test-bridges: $(VENV)-bridges/.ready ## the tests against libraries that objects are taken from, in an environment of their own
	$(VENV)-bridges/bin/python -m pytest tests/adapters tests/engines tests/shards tests/serving tests/choosing/test_sampler.py tests/test_exports.py tests/test_docs.py -k "adapters or engines or shards or clients or exports or inputs or frameworks or choosing" -m "slow or not slow"
	cd plugins/rerankit-faiss && $(abspath $(VENV))-bridges/bin/python -m pytest

test-oldest: $(VENV)-oldest/.ready ## the tests that need no extra, on Python 3.10 with the lowest versions that are allowed
	$(ONE_THREAD) $(VENV)-oldest/bin/python -m pytest --numprocesses 2 -k "$(NOT_OLDEST)" $(BASE_TESTS)

test-pythons: ## the same on every Python from 3.10 to 3.14 that is found, with the newest versions
	@for version in 3.10 3.11 3.12 3.13 3.14; do \
		command -v python$$version > /dev/null && python$$version -c "" 2> /dev/null || { echo "python$$version: not found"; continue; }; \
		$(MAKE) --no-print-directory $(VENV)-$$version/.ready && \
		$(ONE_THREAD) $(VENV)-$$version/bin/python -m pytest --numprocesses 2 $(BASE_TESTS) || exit 1; \
	done

test-hostile: $(VENV)/.dev ## damaged files, kills, full disks and threads in full: SEED=1 SHARE=0.1 draws others, or fewer
	mkdir -p build && rm -f build/reliability.json
	RERANKIT_HOSTILE=$(SHARE) RERANKIT_HOSTILE_SEED=$(SEED) RERANKIT_HOSTILE_REPORT=$(abspath build/reliability.json) \
		$(BIN)/python -m pytest tests/hostile tests/test_conformance.py -n 0 -m 'slow or not slow' -k 'hostile or threads' --timeout 7200
	$(BIN)/python -m json.tool build/reliability.json

package: ## wheel and sdist in dist/, installed and tried outside of the checkout, with a list of all that is installed with it
	PYTHON=$(PYTHON) .ci/package

lint: $(VENV)/.dev ## ruff, format check, mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Pages link the repository that a clone was made of, unless its address is no public one or holds a name or a token.
CLONE_OF := $(filter https://%,$(shell git config --get remote.origin.url))
export REPOSITORY_URL ?= $(if $(findstring @,$(CLONE_OF)),,$(CLONE_OF))

docs: $(VENV)/.docs ## build the documentation into site/, warnings are errors (REPOSITORY_URL=https://… links another repository)
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

$(VENV)/.dev: $(INPUTS) $(PLUGINS:%=%/pyproject.toml) | $(BIN)/python
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	$(PIP) install --constraint constraints.txt --no-deps $(PLUGINS:%=--editable %)
	touch $@ $(VENV)/.demo

$(VENV)-bridges/.ready: $(INPUTS)
	$(PYTHON) -m venv $(VENV)-bridges
	$(VENV)-bridges/bin/python -m pip --quiet --disable-pip-version-check install --constraint constraints.txt --editable '.[bridges]'
	touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(PIP) install --constraint constraints.txt --editable '.[docs]'
	touch $@

$(VENV)-oldest/.ready: pyproject.toml constraints-oldest.txt
	$(OLDEST_PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/python -m pip --quiet install --constraint constraints-oldest.txt --editable . $(TEST_TOOLS) hatchling
	touch $@

$(VENV)-3.%/.ready: pyproject.toml
	python3.$* -m venv $(VENV)-3.$*
	$(VENV)-3.$*/bin/python -m pip --quiet install --editable . $(TEST_TOOLS)
	touch $@
