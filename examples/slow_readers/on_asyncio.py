"""Slow readers, on asyncio: they hold up nobody, and learn exactly how much they missed.

Look at the limit of the bus, at `lags`, and at how `read` goes on after a gap.
"""

import asyncio

from driftline import Bus, Lagged, Subscription

bus = Bus(limit=10)  # messages that a topic keeps for those who are behind
careful = bus.subscribe("prices", name="careful")  # is told of each gap
casual = bus.subscribe("news", name="casual", on_lag="skip")  # goes on; what it missed is counted
stories: dict[Subscription[int], list[object]] = {careful: [], casual: []}


async def read(subscription: Subscription[int], late: asyncio.Event) -> None:
    await late.wait()  # busy with something else, until it is too late for some of the numbers
    while True:
        try:
            async for number in subscription:
                stories[subscription].append(number)
            return
        except Lagged as lagged:  # once for each gap; the next loop begins behind it
            stories[subscription].append(f"[{lagged.missed} missed]")


async def main() -> None:
    prompt = bus.subscribe(">", name="prompt")
    late = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for subscription in stories:
            tasks.create_task(read(subscription, late))
        for topic, last in ("prices", 30), ("news", 20):
            for number in range(1, last + 1):
                bus.publish(topic, number)
                await prompt.receive()
        for row in bus.lags():
            print(f"{row.name} is {row.lag} messages behind on {row.topic}")
        late.set()
        bus.close()
    for subscription, story in stories.items():
        print(subscription.name, "read", *story)
        print(f"  received: {subscription.received}, missed: {subscription.missed}")


if __name__ == "__main__":
    asyncio.run(main())
