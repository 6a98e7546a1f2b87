"""Publishing in forked children, while in the parent another thread was publishing."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from driftline import Topic
from proof.law import Published
from reentry.stage import Stage, Tick

EACH = 5_000  # messages of a child
PATIENCE = 60  # seconds, after which a child hangs


def forks(messages: int, tick: Tick) -> None:
    """Have children publish all those messages."""
    with switching_threads_often(), Stage("parent") as stage:
        stop = threading.Event()

        def publish() -> None:
            while not stop.is_set():
                for _ in range(100):
                    stage.publish("parent")
                stage.keep_pace()

        other = threading.Thread(target=publish, daemon=True)
        other.start()
        try:
            for begin in range(0, messages, EACH):
                in_child(stage.topic, min(EACH, messages - begin))
                tick(begin)
        finally:
            stop.set()
            other.join()


def in_child(topic: Topic[Published], messages: int) -> None:
    """Publish and read so many messages in a child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # "may lead to deadlocks in the child"
        child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert status == 0, f"a child ended with {status}"
        return
    try:
        # Not `dump_traceback_later`, which would wait for its thread, that only the parent has.
        faulthandler.register(signal.SIGALRM, chain=True)
        signal.alarm(PATIENCE)
        with Stage("child", topic=topic) as stage:
            for _ in range(messages):
                stage.publish("child")
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
        os._exit(1)
    os._exit(0)


@contextmanager
def switching_threads_often() -> Iterator[None]:
    """So that a fork comes in the middle of publishing."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
