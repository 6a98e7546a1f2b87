"""The progress of a long job in every browser that looks, on asyncio."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

from websockets.asyncio.server import Server, serve

from driftline import Topic
from driftline.websockets import serve_options
from examples.progress.job import State, open_progress, read_port, show, show_page, start


def open_server(progress: Topic[State], port: int) -> Any:
    """Return a server, for `async with`."""
    handler = partial(show, progress)
    return serve(handler, "127.0.0.1", port, process_request=show_page, **serve_options())


async def run(port: int) -> None:
    """Serve until Ctrl-C, also when the job is done."""
    progress = open_progress()
    server: Server
    async with open_server(progress, port) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"open http://127.0.0.1:{port}/ in a browser or two", flush=True)
        start(progress)
        await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(run(read_port()))
