"""`driftline tail`: what is published, a line for each message."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from driftline._command.address import Address
from driftline._command.output import Output
from driftline._command.reading import Reading
from driftline.protocol import Delivered, Subscribe, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Tailing:
    """What was asked for."""

    address: Address
    request: Subscribe
    topics: bool = False
    json: bool = False
    count: int | None = None


async def tail(tailing: Tailing) -> int:
    """Print messages until there are as many as were asked for; return the number to end with."""
    output = Output()
    left = tailing.count

    async def take(message: Delivered) -> bool:
        nonlocal left
        await output.write(as_line(message, tailing))
        if left is not None:
            left -= 1
        return left != 0

    await output.while_read(Reading(tailing.address, tailing.request, take).run)
    return 0


def as_line(message: Delivered, tailing: Tailing) -> bytes:
    """Return what is printed of a message."""
    value = message.value
    if tailing.json:
        fields = {"topic": message.topic, "seq": message.seq, "at": message.at}
        if isinstance(value, bytes):
            fields["base64"] = b64encode(value).decode()
        else:
            fields["value"] = value
        return write_json(fields).encode() + b"\n"
    if not isinstance(value, bytes):
        text = value if isinstance(value, str) else write_json(value)
        value = text.encode(errors="replace")
    before = message.topic.encode(errors="replace") + b" " if tailing.topics else b""
    return before + value + b"\n"
