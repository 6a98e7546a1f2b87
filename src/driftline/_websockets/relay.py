"""Pushing a topic to a client: what a handler calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from inspect import iscoroutinefunction
from threading import Lock
from typing import Any, Final, TypedDict, Unpack
from weakref import WeakKeyDictionary

import anyio

from driftline import Message, OnLag, Position, Subscription, Topic
from driftline._websockets import sending
from driftline._websockets.backlog import Encoding, EncodingError, Tell
from driftline._websockets.client import Client, Ending
from driftline._websockets.fan_out import FanOut
from driftline._websockets.pace import Pace
from driftline._websockets.prepared import Data
from driftline._websockets.wire import bound_unsent, can_share


class Place(TypedDict, total=False):
    """The arguments of `Topic.subscribe`."""

    name: str | None
    replay: int
    replay_seconds: float | None
    since: Position | str | None
    max_lag: int | None
    max_lag_seconds: float | None
    max_lag_bytes: int | None
    on_lag: OnLag


async def relay(
    source: Topic[Any] | Subscription[Any],
    websocket: Any,
    *,
    encode: Callable[[Any], Data] | None = None,
    encode_message: Callable[[Message[Any]], Data] | None = None,
    text: bool | None = None,
    tell: Tell | None = None,
    window: float = 0.0,
    patience: float = 20.0,
    **place: Unpack[Place],
) -> Ending:
    """Send what is published to a client, until the client goes or the topic ends.

    All that a handler needs::

        async def handler(websocket):
            await relay(prices, websocket)

    On websockets' asyncio server all clients of a topic on one event loop are written to by one
    task, messages that are published at once in one piece, framed and compressed once for all. A
    client that does not keep up keeps nothing but its place in the topic. On the trio server, and
    where a connection uses another extension, this sends one message after the other. For the
    threading server there is `relay_blocking`.

    It does not read what the client sends: `async with relaying(...)` is for both directions.

    Args:
        source: a topic; or a subscription, such as one to patterns of a bus, which is left open.
        websocket: the connection, as the handler got it.
        encode: makes text or bytes of a value. It is called once for all clients that were given
            the same function.
        encode_message: likewise of a `Message`, which has the topic, number and time as well.
        text: True sends bytes, which must be UTF-8, as text; False sends text as binary.
        tell: makes a message for a client that has missed so many, sent in their place. With it,
            `on_lag="raise"` goes on like "skip".
        window: seconds to wait for more after a message, so that they are sent together. It is
            added to the latency; without it, what is published in one turn of the loop is.
        patience: seconds that a client may take nothing while something waits to be sent; then the
            connection is aborted. It holds also after this returns, while the connection closes.
            Give a large number for as long as it likes.
        place: what `Topic.subscribe` takes: where to begin, and what lag is tolerated. For a topic
            only. `on_lag` is "close" if nothing is said, and `name` the client's address.

    Returns:
        "gone" if the client has left, "ended" if the topic has, and "too slow" if the client was
        further behind than it may be, or has taken nothing for too long. Then it was disconnected,
        with code 1013 if it took that; with a subscription of your own, that is left to you.

    Raises:
        Lagged: the client was further behind than it may be, with `on_lag="raise"`.
        PositionLost: the messages after `since` cannot all be had any more; nothing was sent.
        anyio.BrokenResourceError: the topic was closed with an error; everything was sent.
        anyio.ClosedResourceError: the subscription was closed, which is noticed within a second.
        ValueError: `since` is not the text of a position; nothing was sent.
        TypeError, ValueError: a value is neither text nor bytes, or not UTF-8; give `encode`. What
            `encode` and `tell` raise is passed on likewise; what `encode` does, to all clients that
            come to that message.
    """
    encoding = _checked_encoding(encode, encode_message, text)
    _check_seconds(window, patience)
    if _is_of_threads(websocket):
        raise TypeError(f"{websocket!r} is of the threading server; use relay_blocking")
    if not hasattr(websocket, "wait_closed"):
        raise TypeError(
            f"relay takes a connection of the library websockets, not {websocket!r}; "
            "in a web framework have the handler read a subscription, and send"
        )
    closes = isinstance(source, Topic)
    try:
        with _subscribed(source, websocket, place) as subscription:
            if not can_share(websocket):
                return await sending.send_all(
                    subscription, websocket, encoding, tell, patience, closes=closes
                )
            bound_unsent(websocket)
            with _fan_out(subscription.topic, encoding, window) as fan_out:
                return await Client(
                    fan_out, websocket, subscription, tell, patience, closes=closes
                ).run()
    except EncodingError as failure:
        error = failure.error
    raise error  # here, where it keeps the context that it has


def relay_blocking(
    source: Topic[Any] | Subscription[Any],
    websocket: Any,
    *,
    encode: Callable[[Any], Data] | None = None,
    encode_message: Callable[[Message[Any]], Data] | None = None,
    text: bool | None = None,
    tell: Tell | None = None,
    patience: float = 20.0,
    **place: Unpack[Place],
) -> Ending:
    """Like `relay`, for the threading server of websockets: one message after the other.

    It blocks the thread of the handler. That the client has left is noticed within a second.
    """
    encoding = _checked_encoding(encode, encode_message, text)
    _check_seconds(0.0, patience)
    if not _is_of_threads(websocket):
        raise TypeError(f"{websocket!r} is not of the threading server; use `await relay(...)`")
    closes = isinstance(source, Topic)
    try:
        with _subscribed(source, websocket, place) as subscription:
            return sending.send_all_blocking(
                subscription, websocket, encoding, tell, patience, closes=closes
            )
    except EncodingError as failure:
        error = failure.error
    raise error


@asynccontextmanager
async def relaying(
    source: Topic[Any] | Subscription[Any], websocket: Any, **options: Any
) -> AsyncIterator[None]:
    """Relay while a block runs, which can read what the client sends.

    ::

        async with relaying(room, websocket):
            await publish_from(websocket, room)

    At the end of the block it stops. When the topic ends, or the client is too slow, the connection
    is closed, so that a block that reads from it ends. What `relay` raises cancels the block, and
    is raised; what the block raises is, too, and neither comes in an exception group.

    Args:
        source: as for `relay`, like the rest.
        websocket: likewise.
        options: likewise.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            nonlocal failure
            try:
                await relay(source, websocket, **options)
            except Exception as error:
                failure = error
                tasks.cancel_scope.cancel()
            else:
                close = getattr(websocket, "close", None) or websocket.aclose
                await close()

        tasks.start_soon(run)
        try:
            yield
        except Exception as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:  # not in the task group, which would put it into a group
        raise failure


def _is_of_threads(websocket: Any) -> bool:
    return hasattr(websocket, "socket") and not iscoroutinefunction(websocket.send)


@contextmanager
def _subscribed(
    source: Topic[Any] | Subscription[Any], websocket: Any, place: Place
) -> Iterator[Subscription[Any]]:
    if unknown := place.keys() - Place.__annotations__.keys():
        raise TypeError(
            f"there is no option {min(unknown)!r}; for a topic there are "
            + ", ".join(Place.__annotations__)
        )
    if isinstance(source, Topic):
        place.setdefault("on_lag", "close")
        place.setdefault("name", _address(websocket))
        with source.subscribe(**place) as subscription:
            yield subscription
    elif isinstance(source, Subscription):
        if place:
            raise TypeError(
                f"{min(place)} is for a topic; a subscription has a place already, "
                "and what it tolerates can be set on it"
            )
        yield source
    else:
        raise TypeError(
            f"relay takes a topic, or a subscription such as bus.subscribe(...), not {source!r}"
        )


def _address(websocket: Any) -> str:
    try:
        address = websocket.remote_address
    except OSError:  # the client has left
        address = None
    if isinstance(address, tuple) and len(address) > 1:
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        return f"{host}:{address[1]}"
    return str(address or "client")


def _checked_encoding(
    encode: Callable[[Any], Data] | None,
    encode_message: Callable[[Message[Any]], Data] | None,
    text: bool | None,
) -> Encoding:
    if encode is not None and encode_message is not None:
        raise TypeError("give encode, of a value, or encode_message, of a message, and not both")
    for function in (encode, encode_message):
        if function is not None and not callable(function):
            raise TypeError(f"encode takes a function that returns text or bytes, not {function!r}")
    return Encoding(encode, encode_message, text)


def _check_seconds(window: float, patience: float) -> None:
    for seconds in (window, patience):
        if not isinstance(seconds, int | float):
            raise TypeError(f"window and patience are numbers of seconds, not {seconds!r}")
    if not 0 <= window < float("inf"):
        raise ValueError(f"window is a number of seconds, 0 or more, not {window!r}")
    if not 0 < patience < float("inf"):
        raise ValueError(f"patience is a number of seconds, more than 0, not {patience!r}")


_Key = tuple[Topic[Any], Encoding, float]

# By event loop, because each has a thread of its own.
_fan_outs: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_Key, FanOut]]] = (
    WeakKeyDictionary()
)
_lock: Final = Lock()


@contextmanager
def _fan_out(topic: Topic[Any], encoding: Encoding, window: float) -> Iterator[FanOut]:
    """Have the fan-out of a topic on this event loop; it lives as long as somebody has it."""
    with _lock:
        here = _fan_outs.setdefault(asyncio.get_running_loop(), {})
    key = topic, encoding, window
    fan_out = here.get(key)
    if fan_out is None or fan_out.ended:
        paces = (each.pace for each in here.values())
        fan_out = here[key] = FanOut(topic, encoding, window, next(paces, None) or Pace())
    fan_out.users += 1
    try:
        yield fan_out
    finally:
        fan_out.users -= 1
        if not fan_out.users:
            fan_out.close()
            if here.get(key) is fan_out:
                del here[key]


def fan_outs() -> list[FanOut]:
    """Return all that there are, on all event loops."""
    with _lock:
        loops = list(_fan_outs.values())
    return [fan_out for here in loops for fan_out in here.copy().values()]
