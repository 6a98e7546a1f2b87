"""Push topics to WebSocket clients, thousands of them, some of them slow.

For servers made with websockets, which the extra `driftline[websockets]` installs.
"""

# How it works is in `_websockets`, whose docstring says in what order to read it.

from driftline._websockets.allowance import Allowance as Allowance
from driftline._websockets.client import Ending as Ending
from driftline._websockets.compression import (
    ServerSharedDeflateFactory as ServerSharedDeflateFactory,
)
from driftline._websockets.compression import SharedDeflate as SharedDeflate
from driftline._websockets.compression import serve_options as serve_options
from driftline._websockets.disconnecting import disconnect as disconnect
from driftline._websockets.prepared import Compression as Compression
from driftline._websockets.prepared import PreparedMessage as PreparedMessage
from driftline._websockets.receiving import publish_from as publish_from
from driftline._websockets.relay import relay as relay
from driftline._websockets.relay import relay_blocking as relay_blocking
from driftline._websockets.relay import relaying as relaying
from driftline._websockets.statistics import ClientStatistics as ClientStatistics
from driftline._websockets.statistics import FanOutStatistics as FanOutStatistics
from driftline._websockets.statistics import statistics as statistics

__all__ = [
    "Allowance",
    "ClientStatistics",
    "Compression",
    "Ending",
    "FanOutStatistics",
    "PreparedMessage",
    "ServerSharedDeflateFactory",
    "SharedDeflate",
    "disconnect",
    "publish_from",
    "relay",
    "relay_blocking",
    "relaying",
    "serve_options",
    "statistics",
]

for _public in (
    Allowance,
    ClientStatistics,
    Compression,
    FanOutStatistics,
    PreparedMessage,
    ServerSharedDeflateFactory,
    SharedDeflate,
    disconnect,
    publish_from,
    relay,
    relay_blocking,
    relaying,
    serve_options,
    statistics,
):
    _public.__module__ = __name__
del _public
