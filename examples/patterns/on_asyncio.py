"""Patterns, on asyncio: one subscription to many topics, those that do not exist yet included.

Look at what Cleo hears: two patterns, and all that matches in the order of publishing.
"""

import asyncio

from driftline import Bus, Subscription

PATTERNS = {
    "Ada": ["chat.*"],  # "*" is any one token
    "Bob": ["alerts.>"],  # ">" is one token or more
    "Cleo": ["chat.garden", "alerts.>"],
}

bus = Bus()
heard: dict[str, list[str]] = {name: [] for name in PATTERNS}


async def listen(name: str, subscription: Subscription[str]) -> None:
    async for message in subscription.messages():  # with the name of the topic
        heard[name].append(f"{message.topic}: {message.value}")


async def main() -> None:
    async with asyncio.TaskGroup() as tasks:
        for name, patterns in PATTERNS.items():
            tasks.create_task(listen(name, bus.subscribe(*patterns)))
        bus.publish("alerts.eu.disk", "nearly full")
        bus.publish("chat.garden", "Are the roses out?")
        bus.publish("chat.kitchen", "Tea is ready.")
        bus.publish("alerts.power", "back again")
        bus.publish("chat.garden", "They are.")
        bus.close()
    for name, lines in heard.items():
        print(name, *lines, sep="\n  ")


if __name__ == "__main__":
    asyncio.run(main())
