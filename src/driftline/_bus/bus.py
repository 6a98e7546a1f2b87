"""A bus: topics by name, streams by pattern, and who is behind."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from itertools import chain
from time import monotonic, time
from typing import Any, NoReturn, Self, TypeVar, Unpack, overload

import anyio

from driftline._bus.joint import Joint
from driftline._bus.kept import Kept
from driftline._bus.names import check_topic_name, checked_patterns, is_name
from driftline._bus.settings import TopicSettings, check_settings, refuse_others
from driftline._bus.statistics import BusStatistics
from driftline._bus.topics import BusTopic, Stream
from driftline._core.checks import checked_limit
from driftline._core.errors import TooManyTopics
from driftline._core.message import Message, Position
from driftline._core.statistics import SubscriptionStatistics, TopicStatistics
from driftline._core.subscription import Subscription
from driftline._core.tolerance import OnLag
from driftline._core.topic import Topic
from driftline._core.watch import LagWatch

T = TypeVar("T")


class Bus:
    """Topics by name, for parts of a program that do not know each other.

    ::

        bus = Bus()
        orders = bus.subscribe("orders.*.created")
        bus.publish("orders.eu.created", 17)    # from any thread, task or signal handler

        async for message in orders.messages():
            print(message.topic, message.value)

    A topic comes into being when it is named, and is freed when nobody holds it: no subscription
    to it, no publisher that keeps what `topic` returned, no place parked there, nobody who asked
    for it to be kept, and not the bus itself, which holds the last 1,000 that `publish` has made.
    So names cost nothing when they are no longer used. A topic that was freed begins anew next
    time, with number 1 and nothing to replay.

    All messages of a bus have one order, in which those of each publisher keep theirs. Every
    subscription sees its part of it.

    Args:
        max_topics: how many topics somebody may hold at a time, and how many sets of patterns may
            be subscribed to; for more, `topic`, `publish`, `subscribe` and `expect` raise
            `TooManyTopics`. For names that come from outside.
        settings: for all topics that are not made with other ones, and for the streams that
            subscriptions to patterns read: `limit`, `limit_bytes`, `limit_seconds`, `replay`,
            `replay_seconds` and `sizeof`, as for `Topic`.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_closed",
        "_error",
        "_joint",
        "_kept",
        "_max_topics",
        "_named",
        "_settings",
    )

    def __init__(self, *, max_topics: int | None = None, **settings: Unpack[TopicSettings]) -> None:
        check_settings(settings)
        self._max_topics = checked_limit("max_topics", max_topics, whole="topics")
        self._settings = settings
        self._kept = Kept()
        self._joint = Joint(self._kept)
        self._named = self._joint.named
        self._closed = False
        self._error: BaseException | None = None
        self._clock = time() - monotonic()

    # Topics.

    @overload
    def topic(
        self, name: str, *, keep: bool | None = ..., **settings: Unpack[TopicSettings]
    ) -> Topic[Any]: ...

    @overload
    def topic(
        self,
        name: str,
        kind: type[T],
        *,
        keep: bool | None = ...,
        **settings: Unpack[TopicSettings],
    ) -> Topic[T]: ...

    def topic(
        self,
        name: str,
        kind: object = None,
        *,
        keep: bool | None = None,
        **settings: Unpack[TopicSettings],
    ) -> Topic[Any]:
        """Return the topic of this name; make it if there is none. From any thread.

        Args:
            name: tokens joined by dots, without white space, "*" and ">"; 255 bytes at most.
            kind: the type of its messages, for type checkers: `bus.topic("prices", Price)` is a
                `Topic[Price]`. Nothing is checked when the program runs.
            keep: True has the bus hold it, with what it replays, until it is closed or somebody
                asks with False. Otherwise it is freed when nobody holds it.
            settings: if given, the topic is made with them instead of those of the bus.

        Raises:
            ValueError, TypeError: it cannot be the name of a topic, or the settings make no sense,
                or the topic is already there with others.
            TooManyTopics: there are as many topics as there may be.
            anyio.ClosedResourceError: the bus was closed.
        """
        try:
            topic = self._named[name]()
        except (KeyError, TypeError):
            topic = None
        if topic is not None and topic.closed:
            topic.close()  # whoever closes it has not come to the end of that
            topic = None
        if topic is None:
            topic = self._make_topic(name, settings)
        if settings:
            refuse_others(name, topic.settings, settings)
        if self._closed:
            topic.close(self._error)
            raise anyio.ClosedResourceError("the bus was closed")
        if keep is not None:
            self._keep(topic, keep)
        return topic

    def publish(self, name: str, value: Any) -> None:
        """Publish a message on the topic of this name, as `Topic.publish` does.

        Cost: on a topic that somebody holds, little more than that of `Topic.publish`, and once
        more for each set of patterns that somebody has subscribed to and that matches the name,
        whatever the number of subscriptions. On a topic that nobody holds, that of making it.

        Raises:
            anyio.ClosedResourceError: the bus was closed; the message is not published.
            ValueError, TypeError, TooManyTopics: as for `topic`, likewise.
        """
        topic: Topic[Any] | None
        try:
            topic = self._named[name]()
        except (KeyError, TypeError):
            topic = None
        if topic is None:
            topic = self._topic(name)
        try:
            topic.publish(value)
        except anyio.ClosedResourceError:
            self._let_end(topic)
            self.publish(name, value)

    def publish_many(self, name: str, values: Iterable[Any]) -> None:
        """Publish several messages on one topic at once, as `Topic.publish_many` does."""
        collected = list(values)
        topic = self._topic(name)
        try:
            topic.publish_many(collected)
        except anyio.ClosedResourceError:
            self._let_end(topic)
            self.publish_many(name, collected)

    async def send(self, name: str, value: Any) -> None:
        """Publish a message as soon as there is room, as `Topic.send` does.

        There is room when the slowest subscription of the topic is less than its `limit` behind,
        and likewise that of each stream of patterns that matches, with the `limit` of the bus. Two
        threads that send on different topics in the same moment may both find room for one in a
        stream; the slowest of its readers may miss a message then, and is told.
        """
        await self._topic(name).send(value)

    def send_blocking(self, name: str, value: Any, timeout: float | None = None) -> None:
        """Like `send`, blocking the thread, as `Topic.send_blocking` does."""
        self._topic(name).send_blocking(value, timeout)

    # Subscriptions.

    def subscribe(
        self,
        *patterns: str,
        name: str | None = None,
        replay: int = 0,
        replay_seconds: float | None = None,
        since: Position | str | None = None,
        max_lag: int | None = None,
        max_lag_seconds: float | None = None,
        max_lag_bytes: int | None = None,
        on_lag: OnLag = "raise",
    ) -> Subscription[Any]:
        """Return a subscription to all topics that match one of the patterns, now or later.

        In a pattern, the token "*" stands for any one token, and ">" at the end for one or more.
        A message that matches several of the patterns comes once. `messages()` tells the topic of
        each, and its number there, which begins anew when the topic does.

        A single name without wildcards is the topic itself: `bus.topic(name).subscribe(...)`.
        Otherwise all subscriptions to the same patterns read one stream, which is forgotten with
        the last of them. Its settings are those of the bus: a `limit` holds for all its topics
        together, and one that a topic has of its own does not hold for it. `topic` of such a
        subscription is that stream, and lag, `since` and `position` are of it.

        Args:
            patterns: one or more.
            name: as for `Topic.subscribe`, like all that follow.
            replay: begin with the last so many messages that the matching topics keep, in their
                order; each topic as many as it keeps. Such a position may be negative.
            replay_seconds: likewise, those of the last so many seconds.
            since: begin just after this position of a subscription to the same patterns.
            max_lag: how many messages it may be behind when it is read.
            max_lag_seconds: how old the next message may be when it is read.
            max_lag_bytes: how many bytes it may be behind when it is read.
            on_lag: what happens when it is further behind: "raise", "skip", "latest" or "close".

        Raises:
            ValueError, TypeError: these are no patterns, or as for `Topic.subscribe`.
            PositionLost: the messages after `since` cannot all be had any more. A stream keeps them
                only for places that were parked.
            anyio.ClosedResourceError: the bus was closed.
            TooManyTopics: there are as many as there may be.
            RuntimeError: `replay` was asked for in the middle of a `publish`.
        """
        return self._source(checked_patterns(patterns)).subscribe(
            name=name,
            replay=replay,
            replay_seconds=replay_seconds,
            since=since,
            max_lag=max_lag,
            max_lag_seconds=max_lag_seconds,
            max_lag_bytes=max_lag_bytes,
            on_lag=on_lag,
        )

    def expect(
        self, *patterns: str, where: Callable[[Message[Any]], object] | None = None
    ) -> Coroutine[Any, Any, Message[Any]]:
        """Return an awaitable of the next message that matches, from this call on.

        ::

            answer = bus.expect("answers.*", where=lambda message: message.value.id == 17)
            bus.publish("questions", question)
            with anyio.fail_after(5):
                print((await answer).value)

        Args:
            patterns: as for `subscribe`.
            where: whether a message is the one; without it, the first is.

        Raises:
            anyio.EndOfStream: when it is awaited, like the others; the bus was closed before
                there was one.
            Lagged: it was awaited so late that a limit of the bus has cut off what it could have
                been.
            anyio.BrokenResourceError: the bus was closed with an error.
        """
        if where is not None and not callable(where):
            raise TypeError(f"where takes a function from a message to a truth, not {where!r}")
        subscription = self.subscribe(*patterns, name="expect")

        async def expected() -> Message[Any]:
            with subscription:
                async for message in subscription.messages():
                    if where is None or where(message):
                        return message
            raise anyio.EndOfStream

        return expected()

    # Looking. From any thread; nobody is stopped.

    @property
    def closed(self) -> bool:
        """Whether the bus was closed. What was published before can still be read."""
        return self._closed

    def topics(self) -> tuple[TopicStatistics, ...]:
        """Return a snapshot of all live topics, by name.

        Also of those that were closed, as long as somebody holds them. Cost: linear in the number
        of topics and their subscriptions, like that of all that follow.
        """
        live = self._joint.live()
        return tuple(topic.statistics() for topic in live if isinstance(topic, BusTopic))

    def subscriptions(self) -> list[Subscription[Any]]:
        """Return the live subscriptions, to topics and to patterns. The list keeps them."""
        return list(chain.from_iterable(topic.subscriptions() for topic in self._joint.live()))

    def lags(self) -> list[SubscriptionStatistics]:
        """Return a snapshot of every live subscription, those with the largest lag first.

        Those that still read what a closed topic has left are among them. For a subscription to
        patterns, `topic` of its row is the patterns, with a space between them.
        """
        return SubscriptionStatistics.of_all(self.subscriptions())

    def statistics(self) -> BusStatistics:
        """Return a snapshot of the bus, its topics, and its streams of patterns."""
        live = self._joint.live()
        return BusStatistics(
            taken_at=self._clock + monotonic(),
            published=self._joint.published,
            closed=self._closed,
            topics=tuple(topic.statistics() for topic in live if isinstance(topic, BusTopic)),
            streams=tuple(topic.statistics() for topic in live if isinstance(topic, Stream)),
        )

    def watch_lag(
        self,
        lag: int | None = None,
        *,
        lag_seconds: float | None = None,
        every: float = 1.0,
        stalled_after: int = 3,
    ) -> LagWatch:
        """Return a watch over the lag of all subscriptions of the bus, as `Topic.watch_lag`."""
        return LagWatch(self, lag, lag_seconds, every, stalled_after)

    # The end.

    def close(self, error: BaseException | None = None) -> None:
        """Close all topics, as `Topic.close` does: readers get what is left, and then the end.

        From then on the bus takes neither messages nor subscriptions. Closing again does nothing.
        Leaving a `with` or `async with` block closes without an error, whatever the reason.

        Args:
            error: if given, readers get `anyio.BrokenResourceError` from it in the end.
        """
        if error is not None and not isinstance(error, BaseException):
            raise TypeError(f"close takes an exception (an instance) or nothing, not {error!r}")
        if not self._closed:
            self._error = error
            self._closed = True
        # Also if it was closed before: that may have been interrupted.
        for topic in self._joint.topics():
            topic.close(self._error)
        for reference in self._joint.streams.copy().values():
            stream = reference()
            if stream is not None:
                stream.end(self._error)
        self._kept.recent.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = ", closed" if self._closed else ""
        return f"<Bus, topics: {len(self._named)}{state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a bus cannot be copied or pickled; pass it on as it is")

    # How it is done.

    def _topic(self, name: str) -> Topic[Any]:
        """Return a topic to publish on. If it had to be made, it is held for a while."""
        there = isinstance(name, str) and name in self._named
        topic = self.topic(name)
        if not there:
            self._kept.recent.append(topic)
        return topic

    def _let_end(self, closed: Topic[Any]) -> None:
        """Make room for the next topic of a name, when another thread is just closing one."""
        if self._closed:
            raise anyio.ClosedResourceError("the bus was closed")
        closed.close()  # it may not have come to the end of that

    def _make_topic(self, name: str, settings: TopicSettings) -> BusTopic[Any]:
        check_topic_name(name)
        if self._closed:
            raise anyio.ClosedResourceError("the bus was closed")

        check_settings(settings)

        def make() -> BusTopic[Any]:
            if len(self._named) >= self._max_topics:
                self._kept.recent.clear()
            if len(self._named) >= self._max_topics:
                raise TooManyTopics(
                    f"there are {self._max_topics:g} topics, as many as this bus may have; "
                    f"{name!r} was not made"
                )
            return BusTopic(self._joint, name, self._settings | settings)

        return self._joint.topic(name, make)

    def _source(self, patterns: tuple[str, ...]) -> Topic[Any]:
        if self._closed:
            raise anyio.ClosedResourceError("the bus was closed")
        if len(patterns) == 1 and is_name(patterns[0]):
            return self.topic(patterns[0])

        def make() -> Stream:
            if len(self._joint.streams) >= self._max_topics:
                raise TooManyTopics(
                    f"there are {self._max_topics:g} streams, as many as this bus may have; none "
                    f"was made for {' '.join(patterns)!r}"
                )
            settings = self._settings.copy()
            settings.pop("replay", None)
            settings.pop("replay_seconds", None)
            return Stream(self._joint, patterns, settings)

        self._kept.expire()
        stream = self._joint.stream(patterns, make)
        if self._closed:  # in this moment, by another thread
            stream.end(self._error)
        return stream

    def _keep(self, topic: BusTopic[Any], keep: bool) -> None:
        if keep:
            self._kept.topics[topic.name] = topic
        if not keep or topic.closed:  # in this moment, by another thread
            self._kept.topics.pop(topic.name, None)
