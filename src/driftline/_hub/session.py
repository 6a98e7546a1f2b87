"""One client that speaks the protocol."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from driftline import PositionLost, TooManyTopics
from driftline._hub.access import Action, Tokens, allows
from driftline._hub.feed import Feed
from driftline.protocol import (
    Acknowledge,
    Authenticate,
    Authenticated,
    Ended,
    Event,
    Frame,
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
        self._tasks: TaskGroup | None = None

    async def run(self) -> None:
        """Do what the client asks for, until it goes."""
        limits = self._hub.limits
        allowance = Allowance(limits.rate, limits.burst)
        try:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._watch_access)
                with suppress(ConnectionClosed):
                    while True:
                        await self._hear(await self._websocket.recv())
                        if wait := allowance.spend():
                            with anyio.move_on_after(wait):
                                await self._websocket.wait_closed()
                self._tasks.cancel_scope.cancel()
        finally:
            for feed in self._feeds.values():
                self._hub.places.keep(feed)
                feed.close()

    async def _hear(self, frame: Frame) -> None:
        try:
            request = parse_request(frame)
            await self._do(request)
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
        self._errors += 1
        if error.code == "not-json":
            await self._cut_off(CloseCode.INVALID_DATA, "not-json")
        elif self._errors >= self._hub.limits.errors:
            await self._cut_off(CloseCode.POLICY_VIOLATION, f"{self._errors} bad requests")

    async def _cut_off(self, code: int, reason: str) -> None:
        _logger.info("%s is cut off: %s", self._name, reason)
        await disconnect(self._websocket, code, reason)

    async def _say(self, event: Event) -> None:
        """Send an answer; who takes none is cut off like who takes no messages."""
        frame = write_event(event)
        with anyio.move_on_after(self._hub.limits.patience) as scope:
            await self._websocket.send(frame)
        if scope.cancelled_caught:
            await disconnect(self._websocket, CloseCode.TRY_AGAIN_LATER, "too slow")

    # What clients ask for.

    async def _authenticate(self, request: Authenticate) -> None:
        authorize = self._hub.authorize
        if isinstance(authorize, Tokens) and not authorize.knows(request.token):
            raise ProtocolError("not-allowed", "there is no such token", request.id)
        self._token = request.token
        await self._say(Authenticated(id=request.id))

    async def _publish(self, request: Publish) -> None:
        if request.topic.startswith("$"):
            raise ProtocolError("not-allowed", "names with $ are the hub's own", request.id)
        await self._check(request, "publish", request.topic)
        with _in_words(request):
            self._hub.publish(request.topic, request.value)
        if request.id is not None:
            await self._say(Published(id=request.id))

    async def _subscribe(self, request: Subscribe) -> None:
        for pattern in request.patterns:
            await self._check(request, "read", pattern)
        to = " ".join(sorted(set(request.patterns)))
        self._check_number(request, to)
        with _in_words(request):
            subscription = self._hub.subscribe(request, request.name or self._name)
        feed = Feed(request, subscription, self._hub.encoders.of(to))
        if request.keep is not None:
            self._hub.places.open(feed, self._token)
        await self._begin(feed, request)

    async def _resume(self, request: Resume) -> None:
        place = self._hub.places.take(request.resume, self._token)
        if place is None:
            raise ProtocolError("lost", "there is no such place, or not any more", request.id)
        before = place.request
        for pattern in before.patterns:
            await self._check(request, "read", pattern)
        to = " ".join(sorted(set(before.patterns)))
        self._check_number(request, to)
        again = replace(before, since=place.position, replay=None)
        with _in_words(request):
            subscription = self._hub.subscribe(again, before.name or self._name)
        feed = Feed(before, subscription, self._hub.encoders.of(to), place.count)
        had = request.count - place.count
        if had > 0:
            feed.subscription.skip(had)
            feed.acknowledge(request.count)
        self._hub.places.open(feed, self._token, request.resume)
        await self._begin(feed, request)

    async def _begin(self, feed: Feed, request: Subscribe | Resume) -> None:
        assert self._tasks is not None
        self._feeds[feed.to] = feed
        position = feed.subscription.position
        plain = feed.request.patterns[0] if len(set(feed.request.patterns)) == 1 else "*"
        await self._say(
            Subscribed(
                to=feed.to,
                position=None if "*" in plain or ">" in plain else str(position),
                resume=feed.resume,
                id=request.id,
            )
        )
        self._tasks.start_soon(self._feed, feed)

    def _acknowledge(self, request: Acknowledge) -> None:
        feed = self._found(request)
        try:
            feed.acknowledge(request.count)
        except ValueError as error:
            raise ProtocolError("bad-request", str(error), request.id) from None

    async def _unsubscribe(self, request: Unsubscribe) -> None:
        feed = self._found(request)
        await self._end(feed)
        await self._say(Unsubscribed(to=request.to, id=request.id))

    async def _end(self, feed: Feed) -> None:
        self._feeds.pop(feed.to, None)
        self._hub.places.drop(feed)
        feed.close()
        if self._hub.may_cancel:  # else a frame could be sent in half
            feed.scope.cancel()
        await feed.over.wait()

    async def _feed(self, feed: Feed) -> None:
        """Send what is published, until the client goes or reads no more."""
        limits = self._hub.limits
        ending = "gone"
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
        if ending == "ended":
            self._feeds.pop(feed.to, None)
            self._hub.places.drop(feed)
            feed.close()
            with suppress(ConnectionClosed):
                await self._say(Ended(to=feed.to))
        elif ending == "too slow":
            await self._cut_off(CloseCode.TRY_AGAIN_LATER, "too slow")

    async def _watch_access(self) -> None:
        """Look now and then whether the client may still read what it reads."""
        limits = self._hub.limits
        while True:
            await anyio.sleep(limits.recheck_seconds)
            for feed in list(self._feeds.values()):
                feed.bound(limits.lag)
                for pattern in feed.request.patterns:
                    if not await self._may("read", pattern):
                        await self._end(feed)
                        reason = f"{pattern} may not be read any more"
                        with suppress(ConnectionClosed):
                            await self._say(Refused(code="not-allowed", reason=reason))
                            await self._say(Unsubscribed(to=feed.to))
                        break

    # What they may.

    async def _may(self, action: Action, name: str) -> bool:
        return await allows(self._hub.authorize, self._token, action, name)

    async def _check(self, request: Request, action: Action, name: str) -> None:
        if not await self._may(action, name):
            verb = "read" if action == "read" else "published to"
            raise ProtocolError("not-allowed", f"{name} may not be {verb}", request.id)

    def _check_number(self, request: Request, to: str) -> None:
        if to in self._feeds:
            raise ProtocolError("bad-request", f"{to!r} is subscribed to already", request.id)
        most = self._hub.limits.subscriptions
        if len(self._feeds) >= most:
            raise ProtocolError("too-many", f"a client has at most {most}", request.id)

    def _found(self, request: Acknowledge | Unsubscribe) -> Feed:
        feed = self._feeds.get(request.to)
        if feed is None:
            raise ProtocolError("bad-request", f"there is no subscription {request.to!r}")
        return feed


@contextmanager
def _in_words(request: Request) -> Iterator[None]:
    """Say what is wrong on the bus in the words of the protocol."""
    try:
        yield
    except TooManyTopics as error:
        raise ProtocolError("too-many", str(error), request.id) from None
    except PositionLost as error:
        raise ProtocolError("lost", str(error), request.id, error.missed) from None
    except anyio.ClosedResourceError as error:
        raise ProtocolError("closed", str(error), request.id) from None
    except (ValueError, TypeError) as error:
        raise ProtocolError("bad-request", str(error), request.id) from None
