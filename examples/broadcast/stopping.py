"""Ctrl-C and SIGTERM as an event to wait for."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """While inside, SIGINT and SIGTERM set the event, and do nothing else."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def set_it(*_: object) -> None:
        loop.call_soon_threadsafe(stop.set)

    # signal.signal() and not loop.add_signal_handler(), which Windows has not.
    signals = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, set_it) for number in signals]
    try:
        yield stop
    finally:
        for number, handler in zip(signals, previous, strict=True):
            signal.signal(number, handler)
