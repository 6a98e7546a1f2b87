"""Serve a bus to browsers and to other programs, over WebSocket.

The extra `driftline[hub]` installs what it needs. The command is `driftline serve`.
"""

# How it works is in `_hub`, whose docstring says in what order to read it.

from driftline._hub.access import Action as Action
from driftline._hub.access import Authorize as Authorize
from driftline._hub.access import Grant as Grant
from driftline._hub.access import Tokens as Tokens
from driftline._hub.hub import Hub as Hub
from driftline._hub.limits import Limits as Limits
from driftline._hub.listening import serve as serve

__all__ = ["Action", "Authorize", "Grant", "Hub", "Limits", "Tokens", "serve"]

for _public in Grant, Hub, Limits, Tokens, serve:
    _public.__module__ = __name__
del _public
