# Every command makes the environment that it needs; all it takes is Python 3.11 or later.
#
#   make demo       a WebSocket server with fast and slow clients, and the lag of each
#   make test       the tests, on the preferred Python
#   make check      everything that a machine can check: style, types, layers, tests on every Python
#   make bench      the measurements of the README
#   make schedules  120,000 orders of tasks, or TIMES=100 as many
#   make reentry    a million messages published in the middle of publishing, in each way
#   make soak       everything at once on one bus for ten minutes, or MINUTES=60
#   make planted    faults planted in a copy, each found by the tests that are to find it
#   make mutation   SAMPLE=250 small changes in a copy, drawn with SEED=1, and how many are noticed
#   make model      every order of the steps of a small bus, by the checker Spin, if it is there
#   make clean      removes the environments and what tools left behind
#   make demo         a WebSocket server with fast and slow clients, and the lag of each
#   make test         the tests, on the preferred Python
#   make check        everything that a machine can check: style, types, layers, tests on every Python
#   make bench        the measurements of the README
#   make schedules    120,000 orders of tasks, or TIMES=100 as many
#   make soak         everything at once on one bus for ten minutes, or MINUTES=60
#   make conformance  real WebSocket clients, with everything that they can ask for, in half an hour
#   make clean        removes the environments and what tools left behind

PYTHON := .venv/bin/python
MINUTES ?= 10
TIMES ?= 1
SAMPLE ?= 250
SEED ?= 1

.PHONY: demo test check lint types layers types-and-tests bench schedules soak planted mutation reentry model conformance clean

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

# Two at a time. The environments are made before, so that no two make the same.
types-and-tests: .venv/ready
	tools/pythons | xargs -I PYTHON tools/test-on PYTHON --version
	tools/jobs | xargs -P 2 -L 1 env

# Tables and samples are kept in build/benchmarks.json, plots beside it.
bench: .venv/ready
	mkdir -p build
	$(PYTHON) -m benchmarks --json build/benchmarks.json --plots build

# They run in two processes. In `check` this is on the first Python only.
schedules: .venv/ready
	PYTHONPATH=tests $(PYTHON) -m schedules --times $(TIMES)

reentry: .venv/ready
	PYTHONPATH=tests $(PYTHON) -m reentry

# Its plot is build/soak.svg.
soak: .venv/ready
	PYTHONPATH=tests $(PYTHON) -m soak --minutes $(MINUTES)

planted: .venv/ready
	PYTHONPATH=tests $(PYTHON) -m planted

# On the latest Python, because it needs 3.12 or later.
mutation:
	python=$$(tools/pythons | sort -V | tail -n 1) && \
	tools/environment "$$python" .venvs/mutation test && \
	PYTHONPATH=tests .venvs/mutation/bin/python -m mutation --sample $(SAMPLE) --seed $(SEED)
# Not a part of `check`: Spin is no Python package. `apt-get install spin gcc`, or the like.
model: .venv/ready
	$(PYTHON) -m model
# Clients that the machine does not have are left out; `tools/clients` installs them.
conformance: .venv/ready
	PYTHONPATH=tests $(PYTHON) -m conformance

.venv/ready: pyproject.toml tools/pythons tools/environment
	tools/environment "$$(tools/pythons first)" .venv dev

clean:
	rm -rf .venv .venvs .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build/node_modules
