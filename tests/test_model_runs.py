"""How the outcome of a run of the checker is judged, without the checker."""

import pytest
from model.runs import Run
from model.spin import read

pytestmark = pytest.mark.once

HOLDS = """
State-vector 104 byte, depth reached 217, errors: 0
  7287754 states, stored
"""
BROKEN = """pan:1: invalid end state (at depth 30)
State-vector 64 byte, depth reached 38, errors: 1
      143 states, stored
"""
COMPLETE = Run(1, 1, 1, 1)
BITS = COMPLETE._replace(complete=False)
MUTATION = COMPLETE._replace(mutation="MUTATION_NO_TURN")


def test_what_the_checker_says_is_read() -> None:
    outcome = read(HOLDS)
    assert (outcome.states, outcome.depth, outcome.fault) == (7287754, 217, "")
    assert outcome.finished
    assert read(BROKEN).fault == "invalid end state"


def test_the_model_must_hold_and_a_mutation_must_not() -> None:
    assert read(HOLDS).is_good(COMPLETE)
    assert not read(BROKEN).is_good(COMPLETE)
    assert not read(BROKEN).is_good(BITS)
    assert read(BROKEN).is_good(MUTATION)
    assert not read(HOLDS).is_good(MUTATION)


@pytest.mark.parametrize(
    "remark",
    ["Interrupted", "error: max search depth too small", "pan: out of memory"],
)
def test_a_complete_search_must_come_to_its_end(remark: str) -> None:
    assert not read(f"{remark}\n{HOLDS}").is_good(COMPLETE)
    assert read(f"{remark}\n{HOLDS}").is_good(BITS)


def test_no_answer_is_not_a_good_one() -> None:
    assert not read("").is_good(COMPLETE)
    assert not read("").is_good(MUTATION)


def test_an_error_without_a_name_is_one() -> None:
    assert read("depth reached 1, errors: 2").fault == "unknown"
