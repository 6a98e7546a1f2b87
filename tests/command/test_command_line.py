"""What can be written on the command line, and what is said of what cannot."""

from importlib.metadata import version

import pytest
from typer.testing import CliRunner, Result

from driftline._command import stopping
from driftline._command.app import app
from driftline._command.serve import Serving, warn
from driftline._command.words import Complaint
from driftline.hub import Grant

COMMANDS = ["serve", "tail", "publish", "top", "demo"]


def run(*arguments: str) -> Result:
    """Run the command line, as far as it comes without a hub."""
    return CliRunner().invoke(app, arguments, prog_name="driftline")


def test_every_command_teaches_how_it_is_used() -> None:
    described = run("--help").stdout
    for command in COMMANDS:
        assert f"  {command} " in described
        finished = run(command, "--help")
        assert finished.exit_code == 0
        # How it is used, and two examples.
        assert finished.stdout.count(f"driftline {command}") >= 3, finished.stdout
        assert all(len(line) <= 100 for line in finished.stdout.splitlines())


def test_without_a_command_it_tells_which_there_are() -> None:
    finished = run()
    assert finished.exit_code == 2
    assert all(f"  {command} " in finished.output for command in COMMANDS)


def test_the_version_is_that_of_the_package() -> None:
    assert run("--version").stdout == f"driftline {version('driftline')}\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("serve --stdin a..b", "a..b"),
        ("serve --follow access.log", "'access.log'"),
        ("serve --follow access.log=", "'access.log='"),
        ("serve --follow access.log=logs.*", "logs.*"),
        ("serve --read-token s3cret", "'s3cret'"),
        ("serve --publish-token s3cret=a..b", "a..b"),
        ("serve --port 65536", "65535"),
        ("serve --limit 0", "1"),
        ("serve --loop tokio", "tokio"),
        ("tail localhost", "PATTERN"),
        ("tail localhost logs -n 0", "1"),
        ("tail localhost logs --on-lag sleep", "sleep"),
        ("tail ws://localhost/topic/logs logs", "is one topic"),
        ("publish localhost", "TOPIC"),
        ("top", "HUB"),
        ("top ftp://localhost", "is not the address of a hub"),
        ("watch", "watch"),
    ],
)
def test_what_is_wrong_ends_with_2_and_is_named(line: str, reason: str) -> None:
    finished = run(*line.split())
    assert finished.exit_code == 2
    assert reason in finished.output
    assert isinstance(finished.exception, SystemExit)


@pytest.mark.parametrize(
    ("host", "grants", "said"),
    [
        ("0.0.0.0", {}, "can read and publish;"),
        ("::", {}, "can read and publish;"),
        ("hub.example", {}, "can read and publish;"),
        ("0.0.0.0", {None: Grant(read=[">"])}, "can read;"),
        ("0.0.0.0", {"s3cret": Grant(read=[">"])}, None),
        ("127.0.0.2", {}, None),
        ("::1", {}, None),
        ("localhost", {}, None),
    ],
)
def test_it_warns_if_others_may_do_what_they_like(
    host: str,
    grants: dict[str | None, Grant],
    said: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    warn(Serving(host=host, port=0, limit=1, replay=0, max_topics=1, rate=1, grants=grants))
    warned = capsys.readouterr().err
    assert warned == "" if said is None else said in warned


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (BrokenPipeError(), 0, ""),
        (Complaint("it is not there"), 1, "driftline: it is not there\n"),
        (ExceptionGroup("", [ExceptionGroup("", [Complaint("no")])]), 1, "driftline: no\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_ends_a_command_is_a_number_and_at_most_a_line(
    error: BaseException, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> int:
        raise error

    assert (stopping.run(work), capsys.readouterr().err) == (status, said)


def test_a_fault_of_our_own_is_not_hidden() -> None:
    async def work() -> int:
        raise ExceptionGroup("", [ZeroDivisionError()])

    with pytest.raises(ZeroDivisionError):
        stopping.run(work)
