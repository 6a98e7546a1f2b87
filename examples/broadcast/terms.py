"""How a client asks to be treated when it is slow, and what it is told of what it did not get.

It asks in the query of its address: ``ws://127.0.0.1:8765/ada?on_lag=skip&max_lag=100``. It is told
in two ways: `tell_missed` in between, and an `Account` as the reason when the server closes.
"""

import json
from dataclasses import asdict, astuple, dataclass
from typing import Any, Self
from urllib.parse import parse_qsl

from driftline import OnLag, Subscription

READ = ("all", "batches", "latest")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a client asks for; see `driftline.Topic.subscribe`, which checks the last two."""

    read: str = "all"
    on_lag: OnLag = "raise"
    max_lag: int | None = None

    @classmethod
    def of(cls, query: str) -> Self:
        """Read the query of an address.

        Raises:
            ValueError: It makes no sense; the text says why, to somebody who does not see the code.
        """
        asked: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
        if unknown := asked.keys() - {"read", "on_lag", "max_lag"}:
            raise ValueError(f"ask for read, on_lag or max_lag, not {min(unknown)!r}")
        if (read := asked.get("read", "all")) not in READ:
            raise ValueError(f"read is one of {', '.join(map(repr, READ))}, not {read!r}")
        if (max_lag := asked.get("max_lag")) is not None:
            if not max_lag.isdecimal():
                raise ValueError(f"max_lag is a number of messages, not {max_lag!r}")
            asked["max_lag"] = int(max_lag)
        return cls(**asked)


@dataclass(frozen=True, slots=True)
class Account:
    """What became of every message that was published while a client was there."""

    received: int
    missed: int  # lost because it was slow, and told
    skipped: int  # passed over, as it asked for
    lag: int  # neither, but still waiting for it when it was closed
    published: int

    @classmethod
    def of(cls, subscription: Subscription[Any], joined: int) -> Self:
        """Render account for a subscription made when ``joined`` messages had been published."""
        published = subscription.topic.published
        return cls(
            subscription.received,
            subscription.missed,
            subscription.skipped,
            published - subscription.position.seq,
            published - joined,
        )

    def write(self) -> str:
        """Write it as JSON, short enough for the reason of a WebSocket close, 123 bytes."""
        return json.dumps(asdict(self))


def read_account(text: str) -> Account | None:
    """Read what `Account.write` wrote; None if it is something else."""
    try:
        account = Account(**json.loads(text))
    except (ValueError, TypeError):
        return None
    return account if all(isinstance(count, int) for count in astuple(account)) else None


def tell_missed(missed: int) -> bytes:
    """Write the message that tells of a gap, in binary so that no line can be taken for it."""
    return json.dumps({"missed": missed}).encode()


def read_missed(message: bytes) -> int:
    """Read what `tell_missed` wrote."""
    return int(json.loads(message)["missed"])
