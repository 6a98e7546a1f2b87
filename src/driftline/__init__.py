"""driftline: publish from anywhere, read at your own pace, see who is behind."""

# The core is in `_core`, whose docstring says in what order to read it; `_bus` is built on it.
# Everything else in this package is a leaf: it uses the names below, and these two do not know it.

from driftline._bus.bus import Bus as Bus
from driftline._bus.forward import forward as forward
from driftline._bus.statistics import BusRates as BusRates
from driftline._bus.statistics import BusStatistics as BusStatistics
from driftline._core.errors import Lagged as Lagged
from driftline._core.errors import PositionLost as PositionLost
from driftline._core.errors import SlowConsumer as SlowConsumer
from driftline._core.errors import TooManyTopics as TooManyTopics
from driftline._core.message import Message as Message
from driftline._core.message import Position as Position
from driftline._core.statistics import SubscriptionStatistics as SubscriptionStatistics
from driftline._core.statistics import TopicStatistics as TopicStatistics
from driftline._core.subscription import Subscription as Subscription
from driftline._core.tolerance import OnLag as OnLag
from driftline._core.topic import Topic as Topic
from driftline._core.views import View as View
from driftline._core.watch import LagEvent as LagEvent
from driftline._core.watch import LagWatch as LagWatch

__all__ = [
    "Bus",
    "BusRates",
    "BusStatistics",
    "LagEvent",
    "LagWatch",
    "Lagged",
    "Message",
    "OnLag",
    "Position",
    "PositionLost",
    "SlowConsumer",
    "Subscription",
    "SubscriptionStatistics",
    "TooManyTopics",
    "Topic",
    "TopicStatistics",
    "View",
    "forward",
]

for _public in (
    Bus,
    BusRates,
    BusStatistics,
    LagEvent,
    LagWatch,
    Lagged,
    Message,
    Position,
    PositionLost,
    SlowConsumer,
    Subscription,
    SubscriptionStatistics,
    TooManyTopics,
    Topic,
    TopicStatistics,
    View,
    forward,
):  # what users see in errors and documentation is where they import it from
    _public.__module__ = __name__
