"""Real clients understand what they are sent, and it would be seen if they did not.

`make conformance` does the same with everything that they can ask for.
"""

import asyncio
import os
import re
import zlib
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.__main__ import LOOPS, main
from conformance.offers import ALL, NONE, Offer
from conformance.programs import PROGRAMS, Program
from conformance.run import Result, run
from conformance.servers import DEFAULT, DEFAULT_SHARED, PLAIN, Server, shared
from conformance.steps import STEPS
from driftline._websockets import client
from driftline.websockets import Compression, PreparedMessage, SharedDeflate

pytestmark = pytest.mark.once

WEBSOCKETS = PROGRAMS[0]
SOME = (*ALL[::5], NONE)
"""Each window but one, and each takeover."""
SHORT, LONG = 2 * len(STEPS), 4 * len(STEPS)


def conform(
    server: Server,
    program: Program,
    offers: Sequence[Offer | None],
    *,
    steps: int = SHORT,
    loop: str = "asyncio",
    patience: float = 20.0,
) -> list[Result]:
    async def play() -> list[Result]:
        async with program.started() as echo:
            return await run(server, echo, offers, 1, steps, patience)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(play())


def faulty(results: list[Result]) -> list[Offer | None]:
    return [result.offer for result in results if result.fault]


def require(program: Program) -> None:
    if why := program.missing():
        (pytest.fail if "REQUIRE_CLIENTS" in os.environ else pytest.skip)(why)


@pytest.mark.parametrize("server", [shared(15), DEFAULT, PLAIN], ids=str)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_clients_understand_shared_own_and_fragmented_messages(
    program: Program, server: Server
) -> None:
    require(program)
    offers = [offer for offer in program.offers if offer in SOME or offer == Offer()]
    results = conform(server, program, offers)
    assert [result.fault for result in results] == [None] * len(offers)
    assert min(result.compared for result in results) >= len(STEPS)


def test_clients_get_what_they_ask_for() -> None:
    results = conform(DEFAULT_SHARED, WEBSOCKETS, ALL, loop="uvloop")
    assert [result.fault for result in results] == [None] * len(ALL)


def test_a_client_that_asks_for_a_window_which_zlib_cannot_make_gets_no_compression() -> None:
    offers = Offer(True, False, 8), Offer(True, False, 9)
    results = conform(DEFAULT_SHARED, WEBSOCKETS, offers)
    assert [result.fault for result in results] == ["compression is off", None]


def keep_context_of_own_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write shared compressed messages where the compressor of a connection keeps its context."""

    def compression_of(websocket: Any) -> Compression | None:
        extensions = websocket.protocol.extensions
        return Compression(extensions[0].local_max_window_bits) if extensions else None

    monkeypatch.setattr(client, "compression_of", compression_of)


def keep_context_of_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fragments refer back to what was sent in fragments before."""
    make = SharedDeflate.__init__

    def defective(self: Any, *arguments: Any) -> None:
        make(self, *arguments)
        self.local_no_context_takeover = False
        self.encoder = zlib.compressobj(wbits=-self.local_max_window_bits)

    monkeypatch.setattr(SharedDeflate, "__init__", defective)


def reach_too_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compress with a window of 15 bits, whatever was negotiated."""
    compress = Compression.compress

    def defective(self: Compression, data: bytes) -> bytes | None:
        return compress(self._replace(window_bits=15), data)

    monkeypatch.setattr(Compression, "compress", defective)


def write_between_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write published messages in the middle of a message that is sent in fragments."""
    make: Any = client.Client.__init__

    def defective(self: Any, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        state = self.protocol.state
        self.protocol = SimpleNamespace(state=state, expect_continuation_frame=False)

    monkeypatch.setattr(client.Client, "__init__", defective)


def lose_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lose the ends of large messages that are compressed."""
    compress = Compression.compress

    def defective(self: Compression, data: bytes) -> bytes | None:
        return compress(self, data[:60_000])

    monkeypatch.setattr(Compression, "compress", defective)


def lose_what_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lose published messages of one byte."""
    frame = PreparedMessage.frame

    def defective(self: PreparedMessage, compression: Compression | None = None) -> bytes:
        return b"" if len(self.data) == 1 else frame(self, compression)

    monkeypatch.setattr(PreparedMessage, "frame", defective)


def refers_back(offer: Offer) -> bool:
    return not offer.server_no_context_takeover


def has_a_smaller_window(offer: Offer) -> bool:
    return offer.server_max_window_bits < 15


def is_there(_: Offer) -> bool:
    return True


GARBAGE = "came back for|decompression failed|invalid .* byte"


@pytest.mark.parametrize(
    ("plant", "server", "meets", "says"),
    [
        (keep_context_of_own_messages, DEFAULT, refers_back, GARBAGE),
        (keep_context_of_fragments, DEFAULT_SHARED, is_there, GARBAGE),
        (reach_too_far, shared(15), has_a_smaller_window, "decompression failed"),
        (write_between_fragments, DEFAULT_SHARED, is_there, "expected a continuation frame"),
        (lose_the_end, DEFAULT_SHARED, is_there, "came back for (65536|70000) "),
        (lose_what_is_small, DEFAULT_SHARED, is_there, "came back for 1 "),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_defect_is_found_by_all_whom_it_meets_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    server: Server,
    meets: Callable[[Offer], bool],
    says: str,
) -> None:
    plant(monkeypatch)
    offers = ALL[::4]
    results = conform(server, WEBSOCKETS, offers, steps=LONG, patience=2.0)
    assert faulty(results) == [offer for offer in offers if meets(offer)]
    for result in results:
        assert result.fault is None or re.search(says, result.fault)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_client_finds_a_defect(monkeypatch: pytest.MonkeyPatch, program: Program) -> None:
    require(program)
    keep_context_of_own_messages(monkeypatch)
    (result,) = conform(DEFAULT, program, [Offer()], steps=LONG, patience=2.0)
    # Clients close with 1002 or 1007; 1011 would be the server's own.
    assert result.fault is not None
    assert re.search("came back for|received 100[27]", result.fault)


def test_the_long_run_shows_what_was_sent(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--seed", "1", "--steps", "2", "--client", "aiohttp", "--server", "plain"]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert "| aiohttp | plain | 2 servers x 8 offers | 16 |" in printed.out
    assert "| all as sent |" in printed.out
    assert "seed 1\n" in printed.err


def test_the_long_run_shows_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_between_fragments(monkeypatch)
    arguments = ["--seed", "1", "--steps", "8", "--client", "aiohttp", "--server", "plain"]
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert "| 16 wrong |" in printed.out
    assert "seed 1: aiohttp (15 bits) at plain, no compression, on uvloop: message" in printed.err
