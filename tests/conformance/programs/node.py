"""Node's `ws`, which npm installs into the folder `build`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from conformance.offers import ALL, NONE, Offer
from conformance.programs.javascript import ECHO, driven
from conformance.programs.program import Echo, Program

MODULES = Path(__file__).parents[3] / "build" / "node_modules"


def _missing() -> str | None:
    if not shutil.which("node") or not shutil.which("npm"):
        return "needs Node and npm: tools/clients installs them"
    return None if (MODULES / "ws").exists() else _install()


def _install() -> str | None:
    MODULES.parent.mkdir(exist_ok=True)
    # Elsewhere first, because others may be doing the same.
    with TemporaryDirectory(dir=MODULES.parent) as folder:
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, "ws@8"]
        installing = subprocess.run(command, capture_output=True, text=True, timeout=300)
        with suppress(OSError):  # they were first
            (Path(folder) / "node_modules").rename(MODULES)
    if (MODULES / "ws").exists():
        return None
    return f"needs ws, which npm could not install: {installing.stderr[-300:]}"


def _options(offer: Offer | None) -> dict[str, Any]:
    if offer is None:
        return {"perMessageDeflate": False}
    return {
        "perMessageDeflate": {
            # False would not leave it to the server, but refuse it.
            "serverNoContextTakeover": offer.server_no_context_takeover or None,
            "clientNoContextTakeover": offer.client_no_context_takeover or None,
            "serverMaxWindowBits": offer.server_max_window_bits,
            "threshold": 0,
        }
    }


def _command(address: str) -> Sequence[str]:
    return ["node", str(ECHO), f"ws://{address}/"]


def _started() -> AbstractAsyncContextManager[Echo]:
    return driven(_command, _options, {**os.environ, "NODE_PATH": str(MODULES)})


PROGRAM = Program("ws, Node", (*ALL, NONE), _started, _missing)
