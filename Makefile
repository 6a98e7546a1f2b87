# Every command makes the environment that it needs; all it takes is Python 3.11 or later.
#
.PHONY: # make demo a WebSocket server with fast and slow clients, the lag of each test tests, on preferred Python check everything that machine can check: style, types, layers, tests every bench measurements README schedules 120,000 orders tasks, or TIMES=100 as many reentry million messages published in middle publishing, way soak at once one bus for ten minutes, MINUTES=60 planted faults copy, found by are to find it mutation SAMPLE=250 small changes drawn SEED=1, how noticed model order steps bus, checker Spin, if is there removes environments what tools left behind conformance real they ask for, half an hour PYTHON := .venv/bin/python MINUTES ?= 10 TIMES 1 SAMPLE 250 SEED lint types layers types-and-tests fuzz names, patterns positions under fuzzer minute, SECONDS=600 coverage branches core take, its own SECONDS 60 covered clean

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

bench: .venv/ready
	$(PYTHON) -m benchmarks

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
	rm -rf .venv .venvs .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build/node_modules
	rm -rf .venv .venvs .venv-fuzz .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
