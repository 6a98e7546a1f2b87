"""Where it is published from, by name. Each is told how many messages, and whom to tell of them."""

import os
import signal
from collections.abc import Callable
from functools import partial

from reentry.stage import Tick
from reentry.ways.callbacks import callbacks
from reentry.ways.finalizers import finalizers
from reentry.ways.forks import forks
from reentry.ways.signals import signals

WAYS: dict[str, Callable[[int, Tick], None]] = {
    f"finalizers-{threshold}": partial(finalizers, threshold) for threshold in (3, 10, 30, 100)
}
WAYS["callbacks"] = callbacks
if hasattr(signal, "setitimer"):
    WAYS["signals"] = signals
if hasattr(os, "fork"):
    WAYS["forks"] = forks
