"""How a client has every message once, however often its connection is lost."""

from __future__ import annotations

from driftline._protocol.events import Delivered, Ended, Event, Missed, Subscribed
from driftline._protocol.requests import Acknowledge, Resume, Subscribe

_APART = 100  # messages between two acknowledgements


class Following:
    """One subscription of a client, over all its connections.

    It makes requests and is shown what the hub says; to send and to receive is left to others::

        following = Following(Subscribe(patterns=("logs.>",), keep=60))
        while not following.ended:
            with suppress(ConnectionClosed, OSError):
                async with connect(url, subprotocols=[SUBPROTOCOL]) as websocket:
                    await websocket.send(write_request(following.begin()))
                    async for frame in websocket:
                        event = parse_event(frame)
                        if isinstance(event, Refused) and event.code == "lost":
                            await websocket.send(write_request(following.restart()))
                        for request in following.see(event):
                            await websocket.send(write_request(request))
            await asyncio.sleep(1)

    Do what is to be done with a message before `see` counts it: what was counted comes no more.

    Args:
        request: what to subscribe to. With `keep`, nothing is lost and nothing comes twice, if the
            next connection comes in time.
        since: what `begin` returned of an earlier one for the same request, to go on where that
            was, in another process too: `write_request` makes text of it, and `parse_request` reads
            that. Keep it before you say what `see` returns: the hub forgets what is acknowledged.
    """

    def __init__(self, request: Subscribe, *, since: Subscribe | Resume | None = None) -> None:
        resume = since if isinstance(since, Resume) else None
        self.request = request
        self.count: int = 0 if resume is None else resume.count
        """Messages had so far, missed ones included."""
        self.missed: int = 0
        """Messages that are known to be lost."""
        self.ended: bool = False
        """Whether the topic was closed, and everything was had before."""
        self.to: str = request.to
        """What the hub calls this subscription."""
        self._resume = None if resume is None else resume.resume
        self._acknowledged = self.count

    def begin(self) -> Subscribe | Resume:
        """Return what to ask for on a new connection."""
        if self._resume is None:
            return self.request
        return Resume(resume=self._resume, count=self.count, id=self.request.id)

    def restart(self) -> Subscribe:
        """Return what to ask for when the hub has refused to resume: from now on.

        `count` begins anew, and nobody knows how many messages were lost; of a single name, the
        numbers of the last one and of the next tell. Ask on the same connection.
        """
        self._resume = None
        return self.request

    def see(self, event: Event | None) -> list[Acknowledge]:
        """Take note of what the hub says, and return what is to be said."""
        match event:
            case Subscribed(to=self.to):
                if self._resume is None:
                    self.count = 0
                self._resume = event.resume
                self._acknowledged = self.count
            case Delivered(to=self.to):
                self.count += 1
            case Missed(to=self.to):
                self.count += event.count
                self.missed += event.count
            case Ended(to=self.to):
                self.ended = True
        if self._resume is None or self.count < self._acknowledged + _APART:
            return []
        self._acknowledged = self.count
        return [Acknowledge(to=self.to, count=self.count)]
