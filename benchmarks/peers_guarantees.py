"""Which of these give the guarantees that driftline gives?

Two of them are tried out here in each run: what becomes of a message that is published in a thread
while the readers' loop sleeps, and what the other readers get when one is cancelled. What a stalled
reader gets is tried for the table of memory. The rest is what the documentation or the source of
each says.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from time import monotonic, sleep
from typing import Any, NamedTuple

from .contenders import BATCHES, DOCUMENTED, DRIFTLINE, QUEUES, STREAMS, Contender
from .loops import ASYNCIO
from .measure import Table, Track
from .peers_brokers import NATS, REDIS
from .peers_contenders import (
    AIOPUBSUB,
    BLINKER,
    BROADCASTER,
    CULSANS,
    DJANGO,
    LITESTAR,
    MULTISUBSCRIBER,
    PEERS,
    REACTIVEX,
    Peer,
    Plain,
)
from .peers_threads import JANUS, available

SLEEP = 0.4
"""Seconds that the readers' loop sleeps; the thread publishes after a sixth of them."""


class Claims(NamedTuple):
    """What is not tried out: how each guarantee is given, or how not."""

    told: str
    lag: str
    bounded: str
    trio: str = "no"


EACH_READER = "yes: unbounded"
CALLBACK = Claims("no: not after an error of another", "no: no queue", "yes: keeps nothing")

CLAIMS = {
    DRIFTLINE: Claims(
        "yes: `missed`", "yes: messages, seconds, bytes", "yes: `limit`, `max_lag`", "yes"
    ),
    QUEUES: Claims(EACH_READER, "yes: `qsize()`", "yes: `maxsize`, then it raises or waits"),
    STREAMS: Claims(
        EACH_READER, "yes: `statistics()`", "yes: its size, then it raises or waits", "yes"
    ),
    DOCUMENTED: Claims(EACH_READER, "no", "no"),
    BROADCASTER: Claims(EACH_READER, "no", "no"),
    AIOPUBSUB: Claims(EACH_READER, "yes: queue sizes by key", "no"),
    MULTISUBSCRIBER: Claims(EACH_READER, "yes: `qsize()`", "no"),
    LITESTAR: Claims(
        "no: with a bound it drops silently", "yes: `qsize`", "yes: its backlog, then it drops"
    ),
    DJANGO: Claims("no: drops silently at 100", "no", "yes: `capacity`, then it drops"),
    REACTIVEX: CALLBACK,
    BLINKER: CALLBACK,
    CULSANS: Claims(
        EACH_READER, "yes: `qsize()`", "yes: `maxsize`, then it raises or waits", "yes"
    ),
    JANUS: Claims(EACH_READER, "yes: `qsize()`", "yes: `maxsize`, then it raises or waits"),
    REDIS: Claims(
        "yes: `ConnectionError`", "no: the server's `CLIENT LIST`", "yes: 32 MB, then it cuts off"
    ),
    NATS: Claims(
        "yes: `SlowConsumerError`", "yes: `pending_msgs`", "yes: its limits, then it drops"
    ),
}
ELSEWHERE = {
    REDIS: ("yes: a client of the thread", "yes"),
    NATS: ("yes: a client of the thread", "yes"),
}
"""Whoever has a server has no loop in common with the publisher."""


async def started(peer: Peer, readers: list[Callable[[Any], None]]) -> "list[asyncio.Task[None]]":
    """Start readers, all waiting."""
    tasks = [asyncio.create_task(peer.read(receive)) for receive in readers]
    await peer.settle(len(readers))
    return tasks


async def stopped(tasks: "list[asyncio.Task[None]]") -> None:
    """Cancel tasks; whatever they end with has been seen by then."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def from_thread(make: Callable[[], Peer]) -> str:
    """Publish in a thread while the loop sleeps, and say when the reader had it, and where."""
    received: list[tuple[int, float]] = []
    errors: list[BaseException] = []

    def receive(value: int) -> None:
        received.append((threading.get_ident(), monotonic()))

    async with make() as peer:
        tasks = await started(peer, [receive])

        def publish() -> None:
            sleep(SLEEP / 6)
            try:
                asyncio.run(peer.publish(1))
            except Exception as error:
                errors.append(error)

        thread = threading.Thread(target=publish)
        thread.start()
        wakes = monotonic() + SLEEP
        await asyncio.sleep(SLEEP)
        await ASYNCIO.settle()
        thread.join()
        failures = [task.exception() for task in tasks if task.done() and not task.cancelled()]
        await stopped(tasks)
    if errors or any(failures):
        return f"no: {type((errors or failures)[0]).__name__}"
    if not received:
        return "no: lost"
    [(where, when)] = received
    if where != threading.get_ident():
        return "no: it runs the readers there"
    return "yes" if when < wakes - SLEEP / 10 else "no: it arrives when the loop wakes"


async def cancelled(make: Callable[[], Peer]) -> str:
    """Cancel one of three readers and say whether the others get what is published then."""
    lists: list[list[int]] = [[], [], []]
    async with make() as peer:
        tasks = await started(peer, [values.append for values in lists])
        tasks[1].cancel()
        with suppress(asyncio.CancelledError):
            await tasks[1]
        error = ""
        try:
            for value in range(2):
                await peer.publish(value)
        except Exception as caught:
            error = f", and publishing raises {type(caught).__name__}"
        await ASYNCIO.settle()
        others = all(values == [0, 1] for values in (lists[0], lists[2]))
        await stopped(tasks)
    if others and not error:
        return "yes"
    return f"no: it {'harms no other' if others else 'ends all'}{error}"


def plain(make: Callable[[], Contender[int]]) -> Peer:
    """Make a contender of the other tables a peer."""
    return Plain(make())


async def tried(
    probe: Callable[[Callable[[], Peer]], Coroutine[Any, Any, str]], make: Callable[[], Peer]
) -> str:
    """Run a probe on a loop that says nothing of what is broken on purpose."""
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    return await probe(make)


def table(track: Track) -> Table:
    """Try out what can be, and say the rest in words."""
    makers: dict[str, Callable[[], Peer]] = {
        name: entry.make for name, entry in PEERS.items() if entry.available and name != BATCHES
    }
    threadsafe = available()
    makers |= {n: partial(plain, threadsafe[n]) for n in (CULSANS, JANUS) if n in threadsafe}
    rows = []
    found: dict[str, list[str]] = {}
    for name, claims in track(list(CLAIMS.items()), "peers, guarantees"):
        if name in makers:
            thread = ASYNCIO.run(tried, from_thread, makers[name])
            cancel = ASYNCIO.run(tried, cancelled, makers[name])
        else:
            thread, cancel = ELSEWHERE.get(name, ("not installed", "not installed"))
        cells = [claims.told, thread, claims.lag, claims.bounded, claims.trio, cancel]
        same = all(cell.startswith("yes") for cell in cells)
        rows.append([name, *cells, "yes" if same else "no"])
        found[name] = cells
    return Table(
        "What each guarantees, used as here: asyncio",
        [
            "from a thread: a thread published while the readers' loop slept. Where the answer is "
            "no, it must use `call_soon_threadsafe`, or the like.",
            "cancel one reader: one of three was cancelled, then two messages were published.",
            "Both were tried in this run, but for Redis and NATS.",
            "everything, or told: what a stalled reader gets was tried for the table of memory; "
            "the rest of this table is from documentation and sources.",
            "not after an error of another: the caller gets the error, and those after it nothing.",
            "all: whether every answer is yes. It says nothing about what else each can do: "
            "Redis and NATS connect processes, which driftline does not.",
        ],
        [
            "peer",
            "each reader gets everything, or is told",
            "publish from a thread",
            "lag visible",
            "bounded when asked",
            "trio",
            "cancel one reader",
            "all",
        ],
        rows,
        found,
    )
