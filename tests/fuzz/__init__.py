"""Properties under a coverage-guided fuzzer: `make fuzz`, or `python -m fuzz --seconds 60`.

A property is a test whose arguments Hypothesis makes up. Here atheris makes them up: it sees which
branches of driftline an input takes, keeps those that take new ones, and goes on from there. All
properties of `tests/core` and `tests/bus` take part; the first byte of an input chooses one.

What breaks a property is written down for Hypothesis too, so the next `make test` fails as well,
with the smallest example. `planted` breaks driftline on purpose, to show that it is found.
"""
