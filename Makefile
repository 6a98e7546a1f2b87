# Every command makes the environment that it needs; all it takes is Python 3.11 or later.
#
#   make demo     a WebSocket server with fast and slow clients, and the lag of each
#   make test     the tests, on the preferred Python
#   make check    everything that a machine can check: style, types, layers, tests on every Python
#   make bench    the measurements of the README
#   make soak     everything at once on one bus for ten minutes, or MINUTES=60
#   make fuzz     names, patterns and positions under a fuzzer for a minute, or SECONDS=600
#   make coverage the branches that the tests of the core and of the bus take, each of its own
#   make clean    removes the environments and what tools left behind

PYTHON := .venv/bin/python
MINUTES ?= 10
SECONDS ?= 60

.PHONY: demo test check lint types layers types-and-tests bench soak fuzz coverage covered clean

demo: .venv/ready
	$(PYTHON) -m examples.broadcast.demo

test: .venv/ready
	$(PYTHON) -m pytest

check: lint layers types-and-tests

lint: .venv/ready
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

# Among them `tests/typing`, where each checker must refuse what it is to refuse.
types: .venv/ready
	$(PYTHON) -m mypy
	$(PYTHON) -m pyright
	PATH="$(CURDIR)/.venv/bin:$$PATH" pyright --verifytypes driftline --ignoreexternal

layers: .venv/ready
	.venv/bin/lint-imports

# Two at a time. The tests are cut in two, so that with three Pythons neither waits for the other at
# the end, and the environments are made before, so that no two make the same.
types-and-tests: .venv/ready
	tools/pythons | xargs -I PYTHON tools/test-on PYTHON --version
	{ for part in tests/core "tests --ignore=tests/core"; do \
		tools/pythons | sed "s|^|tools/test-on |; s|$$| $$part|"; \
	done; echo "$(MAKE) types"; } | xargs -P 2 -L 1 env

bench: .venv/ready
	$(PYTHON) -m benchmarks

# Its plot is build/soak.svg.
soak: .venv/ready
	PYTHONPATH=tests $(PYTHON) -m soak --minutes $(MINUTES)

# What finds no planted defect would find no other. What took new branches is kept in build/fuzz.
fuzz: .venv-fuzz/ready
	.venv-fuzz/bin/python -m pytest tests/test_fuzz.py
	PYTHONPATH=tests .venv-fuzz/bin/python -m fuzz --seconds $(SECONDS)

# Each by its own tests, but for those that another tracer runs or that interrupt anything anywhere.
coverage: .venv/ready
	$(MAKE) --no-print-directory covered PART=bus
	$(MAKE) --no-print-directory covered PART=core

covered: export COVERAGE_FILE = .coverage.$(PART)
covered:
	$(PYTHON) -m coverage run --include="src/driftline/_$(PART)/*" \
		-m pytest tests/$(PART) -m "not untraced" -q
	$(PYTHON) -m coverage report --fail-under=100

.venv-fuzz/ready: pyproject.toml tools/pythons tools/environment
	tools/environment "$$(tools/pythons first)" .venv-fuzz fuzz

.venv/ready: pyproject.toml tools/pythons tools/environment
	tools/environment "$$(tools/pythons first)" .venv dev

clean:
	rm -rf .venv .venvs .venv-fuzz .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
