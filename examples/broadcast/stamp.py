"""Number and time on each message, so that a client can tell how old it is and what it missed."""

import json
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stamped:
    """One line of the input, with its place and its time (seconds since 1970)."""

    number: int
    time: float
    text: str


def stamp(number: int, text: str) -> str:
    """Write line ``number`` as a JSON object on one line, with the time it is now."""
    return json.dumps({"number": number, "time": time.time(), "text": text})


def read_stamp(message: str) -> Stamped | None:
    """Read what `stamp` wrote; None if it is something else."""
    try:
        fields = json.loads(message)
        return Stamped(int(fields["number"]), float(fields["time"]), str(fields["text"]))
    except (ValueError, TypeError, KeyError):
        return None
