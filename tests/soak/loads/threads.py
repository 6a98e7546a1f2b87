"""Threads that block while they read, until another thread closes their subscription."""

from __future__ import annotations

from threading import Timer

from soak.load import Load, Start
from soak.loads.flood import NUMBERED
from soak.part import Part
from soak.reading import read_in_thread

THREADS_THAT_READ = 2


def read_blocking(part: Part) -> None:
    while not part.stopping.is_set():
        with part.reading(part.subscribe(part.random.choice(NUMBERED))) as witness:
            closing = Timer(part.random.uniform(0, 0.5), witness.subscription.close)
            closing.start()
            try:
                read_in_thread(witness, part.random)
            finally:
                closing.join()
        part.pause(0, 0.05)


def run(start: Start) -> None:
    for _ in range(THREADS_THAT_READ):
        start.thread(read_blocking)


THREADS = Load("threads", run)
