"""What a hub and its clients say to each other: requests and events, in and out of frames.

It knows no connection, so any transport can use it. The protocol is described in docs/protocol.md.
"""

# How it works is in `_protocol`, whose docstring says in what order to read it.

from driftline._protocol.events import Authenticated as Authenticated
from driftline._protocol.events import Delivered as Delivered
from driftline._protocol.events import Ended as Ended
from driftline._protocol.events import Event as Event
from driftline._protocol.events import Missed as Missed
from driftline._protocol.events import Pong as Pong
from driftline._protocol.events import Published as Published
from driftline._protocol.events import Refused as Refused
from driftline._protocol.events import Subscribed as Subscribed
from driftline._protocol.events import Unsubscribed as Unsubscribed
from driftline._protocol.events import parse_event as parse_event
from driftline._protocol.events import write_event as write_event
from driftline._protocol.fields import ProtocolError as ProtocolError
from driftline._protocol.following import Following as Following
from driftline._protocol.frames import Frame as Frame
from driftline._protocol.frames import write_json as write_json
from driftline._protocol.requests import Acknowledge as Acknowledge
from driftline._protocol.requests import Authenticate as Authenticate
from driftline._protocol.requests import Ping as Ping
from driftline._protocol.requests import Publish as Publish
from driftline._protocol.requests import Request as Request
from driftline._protocol.requests import Resume as Resume
from driftline._protocol.requests import Subscribe as Subscribe
from driftline._protocol.requests import Unsubscribe as Unsubscribe
from driftline._protocol.requests import parse_request as parse_request
from driftline._protocol.requests import write_request as write_request

SUBPROTOCOL = "driftline.v1"
"""What a client asks for when it connects."""

__all__ = [
    "SUBPROTOCOL",
    "Acknowledge",
    "Authenticate",
    "Authenticated",
    "Delivered",
    "Ended",
    "Event",
    "Following",
    "Frame",
    "Missed",
    "Ping",
    "Pong",
    "ProtocolError",
    "Publish",
    "Published",
    "Refused",
    "Request",
    "Resume",
    "Subscribe",
    "Subscribed",
    "Unsubscribe",
    "Unsubscribed",
    "parse_event",
    "parse_request",
    "write_event",
    "write_json",
    "write_request",
]

for _public in (
    Acknowledge,
    Authenticate,
    Authenticated,
    Delivered,
    Ended,
    Following,
    Missed,
    Ping,
    Pong,
    ProtocolError,
    Publish,
    Published,
    Refused,
    Resume,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    parse_event,
    parse_request,
    write_event,
    write_json,
    write_request,
):
    _public.__module__ = __name__
del _public
