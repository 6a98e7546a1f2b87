"""The progress of a long job in every browser that looks, on trio."""

from functools import partial

import trio
from websockets.trio.server import Server, serve

from driftline import Topic
from driftline.websockets import serve_options
from examples.progress.job import State, open_progress, read_port, show, show_page, start


async def open_server(nursery: trio.Nursery, progress: Topic[State], port: int) -> Server:
    """Serve until the nursery is cancelled."""
    handler = partial(show, progress)
    listen = partial(serve, host="127.0.0.1", process_request=show_page, **serve_options())
    server: Server = await nursery.start(listen, handler, port)
    return server


async def run(port: int) -> None:
    """Serve until Ctrl-C, also when the job is done."""
    progress = open_progress()
    async with trio.open_nursery() as nursery:
        server = await open_server(nursery, progress, port)
        port = server.listeners[0].socket.getsockname()[1]
        print(f"open http://127.0.0.1:{port}/ in a browser or two", flush=True)
        start(progress)


if __name__ == "__main__":
    try:
        trio.run(run, read_port())
    except* KeyboardInterrupt:
        pass
