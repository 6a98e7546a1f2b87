"""A connection of the asyncio server that answers many frames in one piece."""

from __future__ import annotations

from websockets.asyncio.server import ServerConnection


class Connection(ServerConnection):
    """Writes all that it has to say at once, such as the answers to ten thousand pings.

    websockets writes each by itself, and for each that comes after the client has gone, asyncio
    writes a line to the log.
    """

    def send_data(self) -> None:
        """Send what there is, and then the end, if it is there, too."""
        writes = self.protocol.writes
        if len(writes) > 2:
            writes[:] = [b"".join(writes), *([b""] if not writes[-1] else [])]
        super().send_data()
