"""`driftline publish`, as a process: each value once, or a word about it."""

import subprocess

import pytest

from programs import DRIFTLINE, Program, RunningHub, proxy, run

pytestmark = pytest.mark.once


def test_lines_of_standard_input_come_once_and_in_order(hub: RunningHub) -> None:
    lines = [str(n) for n in range(3000)]
    finished = run("publish", hub.address, "many", input="\n".join(lines))
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
    assert hub.read("many", 3000) == lines


def test_a_line_is_published_when_it_comes(hub: RunningHub) -> None:
    command = [*DRIFTLINE, "publish", hub.address, "slowly"]
    with hub.tail("slowly") as tail, Program(*command, stdin=subprocess.PIPE) as program:
        program.write(b"one\n")
        assert tail.out.next() == "one"
        program.write(b"two\n")
        assert tail.out.next() == "two"
        assert program.interrupt() == 130
        assert program.err.rest() == []


def test_json_is_published_as_what_it_is(hub: RunningHub) -> None:
    finished = run("publish", hub.address, "json", "--json", input='{"a":1}\n"text"\n')
    assert finished.returncode == 0
    assert hub.read("json", 2) == ['{"a":1}', "text"]


@pytest.mark.parametrize("wrong", ["{", "NaN"])
def test_what_is_no_json_is_named_by_its_number(hub: RunningHub, wrong: str) -> None:
    topic = f"wrong.{len(wrong)}{wrong.isalpha()}"
    finished = run("publish", hub.address, topic, "--json", input=f"1\n{wrong}\n3\n")
    assert finished.returncode == 1
    assert finished.stderr.startswith("driftline: value 2 is no JSON: ")
    assert finished.stderr.count("\n") == 1
    assert hub.read(topic, 1) == ["1"]


def test_values_are_looked_at_before_one_is_published(hub: RunningHub) -> None:
    with hub.tail("checked") as tail:
        assert run("publish", hub.address, "checked", "--json", "1", "{").returncode == 1
        hub.publish("checked", "next")
        assert tail.out.next() == "next"


@pytest.mark.parametrize("topic", ["two words", "$statistics"])
def test_what_the_hub_refuses_is_said(hub: RunningHub, topic: str) -> None:
    finished = run("publish", hub.address, topic, "x")
    assert finished.returncode == 1
    assert finished.stderr.startswith("driftline: the hub refuses: ")
    assert finished.stderr.count("\n") == 1


def test_a_message_that_is_too_large_is_one_line(hub: RunningHub) -> None:
    finished = run(
        "publish", hub.address, "large", input="\x01" * 400_000
    )  # as JSON, six times that
    assert finished.returncode == 1
    assert finished.stderr.startswith("driftline: the connection is lost (")
    assert finished.stderr.count("\n") == 1


def test_a_connection_that_is_lost_is_said_and_how_far_it_came(hub: RunningHub) -> None:
    with proxy(hub.port) as between:
        command = [*DRIFTLINE, "publish", f"127.0.0.1:{between.port}", "lost"]
        with hub.tail("lost") as tail, Program(*command, stdin=subprocess.PIPE) as program:
            program.write(b"one\n")
            assert tail.out.next() == "one"
            between.cut()
            program.err.wait_for(r"the connection is lost \(.+\): [01] value")
            assert program.wait() == 1


def test_no_lines_are_no_messages(hub: RunningHub) -> None:
    finished = run("publish", hub.address, "none", input="")
    assert (finished.returncode, finished.stderr) == (0, "")
