"""Publishing in a signal handler, which may come between any two instructions."""

from __future__ import annotations

import signal

from reentry.stage import Stage, Tick

SECONDS = 0.0003  # from one to the next


def signals(messages: int, tick: Tick) -> None:
    """Publish as usual and in a handler, until there are so many messages."""
    with Stage("usual", "handler") as stage:

        def handle(*_: object) -> None:
            stage.publish("handler")
            signal.setitimer(signal.ITIMER_REAL, SECONDS)

        before = signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            while stage.topic.published < messages:
                for _ in range(100):
                    stage.publish("usual")
                tick(stage.topic.published)
                stage.keep_pace()
        finally:
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
