"""Hello, in threads: whatever is published on a bus, everybody who has subscribed hears.

Look at `subscribe`: from that call on nothing is lost, however late the thread begins to listen.
"""

from threading import Thread

from driftline import Bus, Subscription

bus = Bus()
heard: dict[str, list[str]] = {"Ada": [], "Bob": []}


def listen(name: str, subscription: Subscription[str]) -> None:
    for word in subscription:
        heard[name].append(word)


def main() -> None:
    threads = [Thread(target=listen, args=(name, bus.subscribe("greetings"))) for name in heard]
    for thread in threads:
        thread.start()
    bus.publish("greetings", "hello")  # a plain function, from anywhere
    bus.publish("greetings", "world")
    bus.close()  # those who listen get the rest, and then their loops end
    for thread in threads:
        thread.join()
    for name, words in heard.items():
        print(name, "heard", *words)


if __name__ == "__main__":
    main()
