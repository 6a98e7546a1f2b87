"""From a worker thread to tasks: the thread publishes, and every task gets everything.

Look at `compute`: it knows neither who reads nor where.
"""

import asyncio

from driftline import Subscription, Topic

primes = Topic[int]("primes")


def compute(below: int) -> None:
    for number in range(2, below):
        if all(number % smaller for smaller in range(2, number)):
            primes.publish(number)
    primes.close()


async def collect(subscription: Subscription[int]) -> list[int]:
    return [prime async for prime in subscription]


async def main() -> None:
    subscriptions = [primes.subscribe(name=name) for name in ("Ada", "Bob", "Cid")]
    async with asyncio.TaskGroup() as tasks:
        readers = [tasks.create_task(collect(each)) for each in subscriptions]
        await asyncio.to_thread(compute, 30)
    for subscription, reader in zip(subscriptions, readers, strict=True):
        print(subscription.name, "got", *reader.result())


if __name__ == "__main__":
    asyncio.run(main())
