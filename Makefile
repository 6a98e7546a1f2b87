# Every command makes the environment that it needs; all it takes is Python 3.11 or later.
#
#   make demo         a hub with figures of this machine, and with fast and slow clients
#   make demo-broadcast   eight ways to broadcast, on the terminal: slow clients among fast ones
#   make test         the tests, on the preferred Python
#   make check        everything that a machine can check: style, types, layers, every Python
#   make docs         the documentation, as a site in build/docs
#   make bench        the measurements of the README, in less than half an hour
#   make clean        removes the environments and what tools left behind
#
# Proof that takes longer:
#
#   make schedules    120,000 orders of tasks, or TIMES=100 as many
#   make reentry      a million messages published in the middle of publishing, in each way
#   make soak         everything at once on one bus for ten minutes, or MINUTES=60
#   make planted      faults planted in a copy, each found by the tests that are to find it
#   make mutation     SAMPLE=250 small changes in a copy, drawn with SEED=1, and how many are noticed
#   make fuzz         names, patterns and positions under a fuzzer for a minute, or SECONDS=600
#   make coverage     the branches that the tests of the core and of the bus take, each of its own
#   make conformance  shared frames, read by real WebSocket clients
#   make model        every order of the steps of a small bus, by the checker Spin, if it is there

PYTHON := .venv/bin/python
MINUTES ?= 10
SAMPLE ?= 250
SECONDS ?= 60
SEED ?= 1
TIMES ?= 1

.PHONY: demo demo-broadcast test check environments lint types layers types-and-tests docs bench measured clean
.PHONY: schedules reentry soak planted mutation fuzz coverage covered conformance model

# They have a small environment of their own, as they are what one tries first.
demo: .venv-demo/ready
	.venv-demo/bin/python -m driftline demo

demo-broadcast: .venv-demo/ready
	.venv-demo/bin/python -m examples.broadcast.demo

test: .venv/ready
	$(PYTHON) -m pytest

check: environments lint layers types-and-tests

environments:
	tools/environments

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

# Three at a time, because they wait as well. Each is named when it begins, and prints when it ends.
types-and-tests: .venv/ready
	tools/jobs | xargs -t -P 3 -L 1 env

# All pages each time: what is wrong with one that has not changed would not be said again.
docs: .venv/ready
	$(PYTHON) -m sphinx --quiet --fresh-env --fail-on-warning --keep-going --nitpicky docs build/docs

# In less than half an hour. Keeps tables and samples in build/benchmarks.json, plots beside it.
bench: .venv/ready
	$(PYTHON) -m benchmarks --json build/benchmarks.json --plots build

# Writes what `make bench` has kept into the documentation.
measured: .venv/ready
	$(PYTHON) -m benchmarks --kept build/benchmarks.json --document docs

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

# Clients that the machine does not have are left out; `tools/clients` installs them.
conformance: .venv/ready
	PYTHONPATH=tests $(PYTHON) -m conformance

# Not a part of `check`: Spin is no Python package. `apt-get install spin gcc`, or the like.
model: .venv/ready
	$(PYTHON) -m model

.venv-demo/ready: pyproject.toml tools/pythons tools/environment
	tools/environment "$$(tools/pythons first)" .venv-demo demo

.venv-fuzz/ready: pyproject.toml tools/pythons tools/environment
	tools/environment "$$(tools/pythons first)" .venv-fuzz fuzz

.venv/ready: pyproject.toml tools/pythons tools/environment
	tools/environment "$$(tools/pythons first)" .venv dev

clean:
	rm -rf .venv .venvs .venv-demo .venv-fuzz .venv*.making .coverage.* .mypy_cache .pytest_cache .ruff_cache \
		.hypothesis .import_linter_cache build/node_modules
