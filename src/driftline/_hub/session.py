"""One client that speaks the protocol."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from driftline._hub.access import Action, Tokens, allows, owner_of
from driftline._hub.encoding import Encoder
from driftline._hub.feed import Feed
from driftline._hub.limits import PIECE
from driftline._hub.places import Place
from driftline._hub.words import in_words
from driftline.protocol import (
    Acknowledge,
    Authenticate,
    Authenticated,
    Ended,
    Event,
    Frame,
    Missed,
    Ping,
    Pong,
    ProtocolError,
    Publish,
    Published,
    Refused,
    Request,
    Resume,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    parse_request,
    write_event,
)
from driftline.websockets import Allowance, disconnect, relay

if TYPE_CHECKING:
    from driftline._hub.hub import Hub

_logger = logging.getLogger("driftline.hub")


class Session:
    """What one client has asked for, until it goes.

    Args:
        hub: the hub.
        websocket: the connection.
        name: what its readers are called that have no name.
        token: who it is, if it has said so when it connected.
    """

    def __init__(self, hub: Hub, websocket: Any, name: str, token: str | None) -> None:
        self._hub = hub
        self._websocket = websocket
        self._name = name
        self._token = token
        self._feeds: dict[str, Feed] = {}
        self._errors = 0
        self._cut = False
        self._tasks: TaskGroup | None = None

    async def run(self) -> None:
        """Do what the client asks for, until it goes."""
        allowance = Allowance(self._hub.limits.rate, self._hub.limits.burst)
        try:
            async with anyio.create_task_group() as self._tasks:
                if self._hub.authorize is not None:
                    self._tasks.start_soon(self._watch_access)
                with suppress(ConnectionClosed):
                    while True:
                        await self._hear(frame := await self._websocket.recv())
                        await anyio.lowlevel.checkpoint()  # some hundred may be there already
                        if wait := allowance.spend(1 + len(frame) / PIECE):
                            with anyio.move_on_after(wait):
                                await self._websocket.wait_closed()
                self._tasks.cancel_scope.cancel()
        finally:
            for feed in self._feeds.values():
                self._hub.places.leave(feed)
                feed.subscription.close()

    async def _hear(self, frame: Frame) -> None:
        try:
            await self._do(parse_request(frame))
        except ProtocolError as error:
            await self._refuse(error)

    async def _do(self, request: Request) -> None:
        match request:
            case Publish():
                await self._publish(request)
            case Acknowledge():
                self._acknowledge(request)
            case Subscribe():
                await self._subscribe(request)
            case Resume():
                await self._resume(request)
            case Unsubscribe():
                await self._unsubscribe(request)
            case Authenticate():
                await self._authenticate(request)
            case Ping():
                await self._say(Pong(id=request.id))

    async def _refuse(self, error: ProtocolError) -> None:
        await self._say(
            Refused(code=error.code, reason=error.reason, missed=error.missed, id=error.id)
        )
        self._errors += error.code == "bad-request"
        if error.code == "not-json":
            await self._cut_off(CloseCode.INVALID_DATA, "not-json")
        elif self._errors >= self._hub.limits.errors:
            await self._cut_off(CloseCode.POLICY_VIOLATION, f"{self._errors} bad requests")

    async def _say(self, event: Event) -> None:
        """Send an answer; who takes none is cut off like who takes no messages."""
        with anyio.move_on_after(self._hub.limits.patience) as scope:
            await self._websocket.send(write_event(event))
        if scope.cancelled_caught:
            await self._cut_off(CloseCode.TRY_AGAIN_LATER, "takes no answer")

    async def _cut_off(self, code: int, reason: str) -> None:
        """Close the connection, and do nothing more of what the client has asked for."""
        assert self._tasks is not None
        if not self._cut:
            self._cut = True
            _logger.info("%s is cut off: %s", self._name, reason)
            await disconnect(self._websocket, code, reason)
            self._tasks.cancel_scope.cancel()

    # What clients ask for.

    async def _authenticate(self, request: Authenticate) -> None:
        authorize = self._hub.authorize
        if isinstance(authorize, Tokens) and not authorize.knows(request.token):
            self._errors += 1  # so that nobody can guess for long
            raise ProtocolError("not-allowed", "there is no such token", request.id)
        self._token = request.token
        await self._say(Authenticated(id=request.id))
        await self._look_at_access()

    async def _publish(self, request: Publish) -> None:
        if request.topic.startswith("$"):
            raise ProtocolError("not-allowed", "names with $ are the hub's own", request.id)
        await self._check(request, "publish", [request.topic])
        with in_words(request):
            self._hub.publish(request.topic, request.value)
        if request.id is not None:
            await self._say(Published(id=request.id))

    async def _subscribe(self, request: Subscribe) -> None:
        await self._check(request, "read", request.patterns)
        encoder = self._encoder(request, request.to)
        with in_words(request):
            subscription = self._hub.subscribe(request, request.name or self._name)
            place = None
            if request.keep is not None:
                trail = subscription.fork(name=f"{subscription.name}, not acknowledged")
                owner = owner_of(self._hub.authorize, self._token, self._name)
                place = Place(request, trail, owner)
        await self._begin(Feed(request, subscription, encoder, place), request)

    async def _resume(self, request: Resume) -> None:
        place = self._find(request)
        await self._check(request, "read", place.request.patterns)
        place = self._find(request)  # again, because others could run meanwhile
        encoder = self._encoder(request, place.request.to)
        if request.count > place.sent:
            reason = f"count is {request.count}, but only {place.sent} messages were sent"
            raise ProtocolError("bad-request", reason, request.id)
        place.acknowledge(request.count)
        with in_words(request):
            subscription = place.subscribe(place.request.name or self._name)
        feed = Feed(place.request, subscription, encoder, place, place.acknowledged)
        await self._begin(feed, request, missed=place.acknowledged - request.count)

    async def _begin(self, feed: Feed, request: Subscribe | Resume, *, missed: int = 0) -> None:
        """Answer, tell what is lost of what was not acknowledged, and send from now on."""
        assert self._tasks is not None
        self._feeds[feed.to] = feed
        if feed.place is not None:
            self._hub.places.open(feed, feed.place)
        await self._say(
            Subscribed(
                to=feed.to,
                position=str(feed.subscription.position) if feed.request.is_single else None,
                resume=None if feed.place is None else feed.place.key,
                id=request.id,
            )
        )
        if missed:
            await self._say(Missed(to=feed.to, count=missed))
        self._tasks.start_soon(self._feed, feed)

    def _acknowledge(self, request: Acknowledge) -> None:
        feed = self._feeds.get(request.to)
        if feed is None:  # it has just ended, of which its client is about to hear
            return
        try:
            feed.acknowledge(request.count)
        except ValueError as error:
            raise ProtocolError("bad-request", str(error), request.id) from None

    async def _unsubscribe(self, request: Unsubscribe) -> None:
        feed = self._feeds.get(request.to)
        if feed is None:
            reason = f"there is no subscription {request.to[:100]!r}"
            raise ProtocolError("bad-request", reason, request.id)
        await self._end(feed)
        await self._say(Unsubscribed(to=request.to, id=request.id))

    async def _end(self, feed: Feed) -> None:
        """Send nothing more of a feed, and keep nothing of it."""
        del self._feeds[feed.to]
        self._hub.places.drop(feed)
        feed.stop()
        await feed.over.wait()

    async def _feed(self, feed: Feed) -> None:
        """Send what is published, until the client goes or reads no more."""
        limits = self._hub.limits
        ending = "stopped"
        try:
            with feed.scope, suppress(anyio.ClosedResourceError):
                ending = await relay(
                    feed.subscription,
                    self._websocket,
                    encode_message=feed.encoder.encode,
                    tell=feed.encoder.tell,
                    patience=limits.patience,
                )
        except anyio.BrokenResourceError:
            ending = "ended"
        finally:
            feed.over.set()
        if ending == "too slow":
            await self._cut_off(CloseCode.TRY_AGAIN_LATER, "too slow")
        elif ending != "gone" and self._feeds.get(feed.to) is feed:
            del self._feeds[feed.to]
            # Who has not got that it has ended can come back for it.
            self._hub.places.leave(feed)
            feed.subscription.close()
            event = Ended(to=feed.to) if ending == "ended" else Unsubscribed(to=feed.to)
            with suppress(ConnectionClosed):
                await self._say(event)

    async def _watch_access(self) -> None:
        """Look now and then whether the client may still read what it reads."""
        while True:
            await anyio.sleep(self._hub.limits.recheck_seconds)
            with suppress(ConnectionClosed):
                await self._look_at_access()

    async def _look_at_access(self) -> None:
        for feed in list(self._feeds.values()):
            pattern = await self._forbidden("read", feed.request.patterns)
            if pattern is not None and self._feeds.get(feed.to) is feed:
                await self._end(feed)
                reason = f"{pattern} may not be read any more"
                await self._say(Refused(code="not-allowed", reason=reason))
                await self._say(Unsubscribed(to=feed.to))

    # What they may.

    async def _forbidden(self, action: Action, names: Iterable[str]) -> str | None:
        """Return the first of these that the client may not read or publish to, or None."""
        for name in names:
            if not await allows(self._hub.authorize, self._token, action, name):
                return name
        return None

    async def _check(self, request: Request, action: Action, names: Iterable[str]) -> None:
        name = await self._forbidden(action, names)
        if name is not None:
            verb = "read" if action == "read" else "published to"
            raise ProtocolError("not-allowed", f"{name} may not be {verb}", request.id)

    def _encoder(self, request: Request, to: str) -> Encoder:
        """Return that of a new subscription, if the client may have one more."""
        if to in self._feeds:
            raise ProtocolError("bad-request", f"{to!r} is subscribed to already", request.id)
        most = self._hub.limits.subscriptions
        if len(self._feeds) >= most:
            raise ProtocolError("too-many", f"a client has at most {most}", request.id)
        return self._hub.encoders.of(to)

    def _find(self, request: Resume) -> Place:
        place = self._hub.places.find(request.resume)
        if place is None:
            raise ProtocolError("lost", "there is no such place, or not any more", request.id)
        return place
