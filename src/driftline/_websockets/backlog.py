"""What one client has yet to get, prepared in pieces that are sent together."""

from __future__ import annotations

from collections.abc import Callable
from sys import maxsize
from typing import Any, Final, NamedTuple

import anyio

from driftline import Lagged, Message, Subscription
from driftline._websockets.prepared import Data, PreparedMessage

ENOUGH: Final = 32 * 1024
"""Bytes after which no more messages are joined. With messages of at most as many, one piece has at
most twice that."""
EACH: Final = 64
"""Bytes that a message counts as more, so that very small ones are not joined without end."""

Prepare = Callable[[Message[Any]], PreparedMessage]
Tell = Callable[[int], Data]


class EncodingError(Exception):
    """Carries what a function of the caller's raised past those who read the subscription.

    They would take it for what reading raises: that there is no message, or no more.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class Encoding(NamedTuple):
    """How a value becomes what is sent."""

    encode: Callable[[Any], Data] | None
    encode_message: Callable[[Message[Any]], Data] | None
    text: bool | None

    def prepare(self, message: Message[Any]) -> PreparedMessage:
        """Return the message as it is sent, or raise `EncodingError`."""
        value = message.value
        try:
            if self.encode_message is not None:
                value = self.encode_message(message)
            elif self.encode is not None:
                value = self.encode(value)
            if isinstance(value, PreparedMessage):
                return value
            return PreparedMessage(value, text=self.text)
        except Exception as error:
            raise EncodingError(error) from None


class Backlog:
    """Reads a subscription for a client, and says in its place what was missed."""

    def __init__(
        self, subscription: Subscription[Any], prepare: Prepare, tell: Tell | None
    ) -> None:
        self._subscription = subscription
        self._messages = subscription.messages()
        self._prepare = prepare
        self._tell = tell
        self._told = subscription.missed

    def take(self, most: int = maxsize) -> tuple[list[PreparedMessage], Exception | None]:
        """Return what is sent next, as far as it is there, and what is to be raised after that.

        Args:
            most: messages at most, missed ones included.
        """
        subscription = self._subscription
        end = subscription.position.seq + most
        prepared: list[PreparedMessage] = []
        size = 0
        try:
            while size < ENOUGH and subscription.position.seq < end:
                new = self._read(self._messages.receive_nowait)
                prepared += new
                size += sum(len(each.data) + EACH for each in new)
        except anyio.WouldBlock:
            pass
        except Exception as error:
            return prepared, error
        return prepared, None

    async def wait(self) -> list[PreparedMessage]:
        """Wait for a message, and return it."""
        try:
            message = await anext(self._messages)
        except StopAsyncIteration:
            raise anyio.EndOfStream from None
        except Lagged:
            if self._tell is None:
                raise
            return self._with_word([])
        return self._with_word([message])

    def wait_blocking(self, seconds: float) -> list[PreparedMessage]:
        """Block the thread for a message, and return it."""
        return self._read(lambda: self._messages.receive_blocking(seconds))

    def _read(self, receive: Callable[[], Message[Any]]) -> list[PreparedMessage]:
        messages = []
        try:
            messages.append(receive())
        except Lagged:
            if self._tell is None:
                raise
        return self._with_word(messages)

    def _with_word(self, messages: list[Message[Any]]) -> list[PreparedMessage]:
        """Prepare messages, and before them what is told of those that were missed."""
        missed = self._subscription.missed - self._told
        self._told += missed
        told = []
        if missed and self._tell is not None:
            try:
                told.append(PreparedMessage(self._tell(missed)))
            except Exception as error:
                raise EncodingError(error) from None
        return told + [self._prepare(message) for message in messages]
