"""On what this runs."""

from __future__ import annotations

import asyncio


def on_asyncio() -> bool:
    """Return whether an asyncio event loop runs here, and not trio."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
