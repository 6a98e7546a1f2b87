"""Hello, on asyncio: whatever is published on a bus, everybody who has subscribed hears.

Look at `subscribe`: from that call on nothing is lost, however late the task begins to listen.
"""

import asyncio

from driftline import Bus, Subscription

bus = Bus()
heard: dict[str, list[str]] = {"Ada": [], "Bob": []}


async def listen(name: str, subscription: Subscription[str]) -> None:
    async for word in subscription:
        heard[name].append(word)


async def main() -> None:
    async with asyncio.TaskGroup() as tasks:
        for name in heard:
            tasks.create_task(listen(name, bus.subscribe("greetings")))
        bus.publish("greetings", "hello")  # a plain function, from anywhere
        bus.publish("greetings", "world")
        bus.close()  # those who listen get the rest, and then their loops end
    for name, words in heard.items():
        print(name, "heard", *words)


if __name__ == "__main__":
    asyncio.run(main())
