"""All together: an asyncio loop, a trio run and a thread pass a ball round, on one bus.

Look at what is not here: nothing hands messages from one loop or thread to another. `publish` is
the same everywhere, and so is a subscription: `play` runs on asyncio and on trio as it is.
"""

import asyncio
from threading import Thread

import trio

from driftline import Bus, Subscription

NEXT = {"asyncio": "trio", "trio": "thread", "thread": "asyncio"}
PASSES = 6

bus = Bus()


def pass_on(player: str, passes: int) -> None:
    if passes < PASSES:
        bus.publish(f"ball.{NEXT[player]}", passes + 1)
    else:
        bus.close()  # the loops of all players end, wherever they run


async def play(player: str, balls: Subscription[int]) -> None:
    async for passes in balls:
        pass_on(player, passes)


def play_in_thread(player: str, balls: Subscription[int]) -> None:
    for passes in balls:
        pass_on(player, passes)


def main() -> None:
    balls = {player: bus.subscribe(f"ball.{player}") for player in NEXT}
    all_balls = bus.subscribe("ball.*")
    threads = [
        Thread(target=asyncio.run, args=(play("asyncio", balls["asyncio"]),)),
        Thread(target=trio.run, args=(play, "trio", balls["trio"])),
        Thread(target=play_in_thread, args=("thread", balls["thread"])),
    ]
    for thread in threads:
        thread.start()
    bus.publish("ball.asyncio", 1)
    for message in all_balls.messages():  # in the thread of the main program
        print(message.value, message.topic)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
