"""What is wrong on the bus, in the words of the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from driftline import PositionLost, TooManyTopics
from driftline.protocol import ProtocolError, Request


@contextmanager
def in_words(request: Request) -> Iterator[None]:
    """Raise what the bus raises meanwhile as an error of the protocol.

    Args:
        request: what a client has asked for.
    """
    try:
        yield
    except TooManyTopics as error:
        raise ProtocolError("too-many", str(error), request.id) from None
    except PositionLost as error:
        raise ProtocolError("lost", str(error), request.id, error.missed) from None
    except anyio.ClosedResourceError as error:
        raise ProtocolError("closed", str(error), request.id) from None
    except (ValueError, TypeError) as error:
        raise ProtocolError("bad-request", str(error), request.id) from None
