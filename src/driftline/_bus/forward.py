"""From one bus or topic into another."""

from __future__ import annotations

from typing import Any

from driftline._bus.bus import Bus
from driftline._core.subscription import Subscription
from driftline._core.topic import Topic


async def forward(source: Subscription[Any], to: Bus | Topic[Any]) -> int:
    """Publish what a subscription receives on a bus or a topic, until it ends; return how much.

    ::

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(forward, bus.subscribe("orders.>"), other_bus)

    On a bus, messages keep the names of their topics. What the subscription tolerates, and where
    it begins, is set when it is made. It is closed in the end. Two that forward to each other what
    they get from each other never end: forward patterns that do not meet.

    Cancellation: what was received was published, too; a checkpoint at least once in 128 messages.

    Raises:
        anyio.ClosedResourceError: `to` was closed; the message that it refused is lost.
        Lagged, SlowConsumer: as for `Subscription.receive`, and so are its errors of anyio.
    """
    if not isinstance(source, Subscription):
        raise TypeError(f"forward takes a subscription, such as bus.subscribe(...), not {source!r}")
    count = 0
    with source:
        if isinstance(to, Bus):
            async for message in source.messages():
                to.publish(message.topic, message.value)
                count += 1
        elif isinstance(to, Topic):
            async for value in source:
                to.publish(value)
                count += 1
        else:
            raise TypeError(f"forward goes to a Bus or a Topic, not to {to!r}")
    return count
