"""Patterns, in threads: one subscription to many topics, those that do not exist yet included.

Look at what Cleo hears: two patterns, and all that matches in the order of publishing.
"""

from threading import Thread

from driftline import Bus, Subscription

PATTERNS = {
    "Ada": ["chat.*"],  # "*" is any one token
    "Bob": ["alerts.>"],  # ">" is one token or more
    "Cleo": ["chat.garden", "alerts.>"],
}

bus = Bus()
heard: dict[str, list[str]] = {name: [] for name in PATTERNS}


def listen(name: str, subscription: Subscription[str]) -> None:
    for message in subscription.messages():  # with the name of the topic
        heard[name].append(f"{message.topic}: {message.value}")


def main() -> None:
    threads = [
        Thread(target=listen, args=(name, bus.subscribe(*patterns)))
        for name, patterns in PATTERNS.items()
    ]
    for thread in threads:
        thread.start()
    bus.publish("alerts.eu.disk", "nearly full")
    bus.publish("chat.garden", "Are the roses out?")
    bus.publish("chat.kitchen", "Tea is ready.")
    bus.publish("alerts.power", "back again")
    bus.publish("chat.garden", "They are.")
    bus.close()
    for thread in threads:
        thread.join()
    for name, lines in heard.items():
        print(name, *lines, sep="\n  ")


if __name__ == "__main__":
    main()
