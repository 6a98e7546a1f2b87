"""What this machine does: figures for `driftline demo`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil

Figure = tuple[str, dict[str, Any]]
"""A topic, and what to publish there."""


class Machine:
    """Reads the load, the memory, the network and the processes of this machine."""

    def __init__(self) -> None:
        psutil.cpu_percent(percpu=True)  # what follows is measured from here on
        self._network = psutil.net_io_counters(pernic=True)

    def look(self) -> Iterator[Figure]:
        """Return figures since the last time; it takes some milliseconds."""
        for number, percent in enumerate(psutil.cpu_percent(percpu=True)):
            yield f"machine.cpu.{number}", {"percent": percent}
        one, five, fifteen = psutil.getloadavg()
        yield "machine.load", {"1 min": one, "5 min": five, "15 min": fifteen}
        memory = psutil.virtual_memory()
        yield "machine.memory", {"percent": memory.percent, "available": memory.available}
        yield from self._look_at_network()
        yield from _look_at_processes()

    def _look_at_network(self) -> Iterator[Figure]:
        before, self._network = self._network, psutil.net_io_counters(pernic=True)
        for name, now in self._network.items():
            earlier = before.get(name, now)
            yield (
                f"machine.network.{_token(name)}",
                {
                    "received": now.bytes_recv - earlier.bytes_recv,
                    "sent": now.bytes_sent - earlier.bytes_sent,
                },
            )


def _look_at_processes() -> Iterator[Figure]:
    for process in psutil.process_iter(["name", "memory_info", "num_threads", "cpu_percent"]):
        found = process.info
        if found["memory_info"] is None:  # it has ended, or is not for us to see
            continue
        yield (
            f"process.{process.pid}",
            {
                "name": found["name"],
                "cpu percent": found["cpu_percent"],
                "memory": found["memory_info"].rss,
                "threads": found["num_threads"],
            },
        )


def _token(name: str) -> str:
    """Return a name as one token of the name of a topic."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)
