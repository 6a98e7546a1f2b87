"""`driftline demo`: a hub with real input, and with fast and slow clients."""

from __future__ import annotations

import signal

import anyio
import anyio.to_thread
from websockets.exceptions import ConnectionClosed

from driftline import Bus
from driftline._command.machine import Machine
from driftline._command.readers import READERS, Reader, read
from driftline._command.serve import cannot_listen, page, size
from driftline._command.stopping import hearing_signals
from driftline._command.words import say
from driftline.hub import Hub, serve


async def demo(port: int, seconds: float | None) -> int:
    """Run it until Ctrl-C, or for so many seconds; return the number to end with."""
    bus = Bus(limit=10_000, replay=1, max_topics=10_000, sizeof=size)
    number = 0
    try:
        async with serve(bus, port=port) as hub, anyio.create_task_group() as tasks:
            tasks.start_soon(_publish, bus)
            for reader in READERS:
                tasks.start_soon(_read, reader, hub)
            with hearing_signals() as wait_for_signal, anyio.move_on_after(seconds):
                _introduce(hub)
                number = await wait_for_signal()
            tasks.cancel_scope.cancel()
    except* OSError as group:
        raise cannot_listen("127.0.0.1", port, group.exceptions[0]) from None
    return 0 if number in (0, signal.SIGTERM) else 128 + number


def _introduce(hub: Hub) -> None:
    address = page(hub)
    say(f"{address} shows topics and readers; Ctrl-C stops it. In another terminal:")
    say(f"  driftline top {address}")
    say(f"  driftline tail {address} 'machine.>' --topics")
    say(f"  driftline publish {address} hello world")


async def _publish(bus: Bus) -> None:
    machine = Machine()
    while True:
        await anyio.sleep(1)
        for topic, figures in await anyio.to_thread.run_sync(lambda: list(machine.look())):
            bus.publish(topic, figures)


async def _read(reader: Reader, hub: Hub) -> None:
    while True:
        try:
            await read(reader, hub.port)
        except ConnectionClosed:
            await anyio.sleep(1)
