"""Programs that a test starts and hears line by line, and a proxy whose connections it can cut."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, Thread
from typing import IO, Any, Self

from websockets.sync.client import connect
from websockets.typing import Subprotocol

from driftline.protocol import SUBPROTOCOL, Publish, Published, parse_event, write_request

PATIENCE = 30.0  # seconds, on a machine that is busy with other things
DRIFTLINE = [sys.executable, "-W", "error", "-m", "driftline"]


class Stream:
    """What a program prints, line by line."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._seen: list[str] = []
        self._reading = Thread(target=self._read, daemon=True)
        self._reading.start()

    def next(self) -> str:
        """Return the next line."""
        line = self._take()
        assert line is not None, f"it has printed nothing more; before: {self._seen}"
        return line

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the next line in which a pattern is found, and pass over those before it."""
        while True:
            line = self._take()
            assert line is not None, f"no line with {pattern!r} in {self._seen}"
            if found := re.search(pattern, line):
                return found

    def rest(self) -> list[str]:
        """Return all lines until the program closes its end."""
        lines = []
        while (line := self._take()) is not None:
            lines.append(line)
        return lines

    def close(self) -> None:
        """Wait until the program, which has ended, is heard to the end."""
        self._reading.join(PATIENCE)

    def _take(self) -> str | None:
        try:
            line = self._lines.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"it prints no line; before: {self._seen}") from None
        if line is not None:
            self._seen.append(line)
        return line

    def _read(self) -> None:
        with self._source:
            for line in self._source:
                self._lines.put(line.decode(errors="backslashreplace").rstrip("\n"))
        self._lines.put(None)


class Program:
    """A program that runs, and is ended with its block.

    Args:
        command: the program and its arguments.
        stdin: what it reads; "pipe" is what is written with `write`.
        stdout: where it writes; None is to `out`.
        env: variables of its environment, beside ours.
        cwd: where it runs; None is where we do.
    """

    def __init__(
        self,
        *command: str,
        stdin: Any = subprocess.DEVNULL,
        stdout: Any = None,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=stdin,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
        assert self.process.stderr is not None
        self.err = Stream(self.process.stderr)
        self._streams = [self.err]
        if stdout is None:
            assert self.process.stdout is not None
            self.out = Stream(self.process.stdout)
            self._streams.append(self.out)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(PATIENCE)
        unheard = None if hasattr(self, "out") else self.process.stdout
        for pipe in self.process.stdin, unheard:
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        for stream in self._streams:
            stream.close()

    def write(self, data: bytes) -> None:
        """Write to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def interrupt(self) -> int:
        """Send what Ctrl-C sends, and return the number with which it ends."""
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def terminate(self) -> int:
        """Send SIGTERM, and return the number with which it ends."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Return the number with which it ends."""
        return self.process.wait(PATIENCE)


class RunningHub(Program):
    """`driftline serve`, from when it listens.

    Attributes:
        port: Where it listens.
        page: The address of the inspector.
        address: What its clients are told.
        url: Where they connect.
    """

    def __init__(self, *options: str, port: int = 0, stdin: Any = subprocess.DEVNULL) -> None:
        super().__init__(*DRIFTLINE, "serve", "--port", str(port), *options, stdin=stdin)
        try:
            found = self.err.wait_for(r"listening on (http://\S+:(\d+)/)$")
        except BaseException:
            self.__exit__()
            raise
        self.page = found[1]
        self.port = int(found[2])
        self.address = f"localhost:{self.port}"
        self.url = f"ws://127.0.0.1:{self.port}/"

    def publish(self, topic: str, *values: Any) -> None:
        """Publish values, and wait until it is done."""
        with connect(
            self.url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None
        ) as websocket:
            for value in values:
                websocket.send(write_request(Publish(topic=topic, value=value, id=1)))
            for _ in values:
                answer = parse_event(websocket.recv(PATIENCE))
                assert isinstance(answer, Published), answer

    def read(self, topic: str, count: int) -> list[str]:
        """Return the last messages of a topic."""
        with connect(f"{self.url}topic/{topic}?replay={count}") as websocket:
            return [str(websocket.recv(PATIENCE)) for _ in range(count)]

    def tail(
        self, *arguments: str, name: str = "tail", port: int | None = None, **options: Any
    ) -> Program:
        """Start `driftline tail`, and return it when it has subscribed."""
        name = f"{name} {os.urandom(4).hex()}"
        address = f"127.0.0.1:{port or self.port}"
        program = Program(*DRIFTLINE, "tail", address, *arguments, "--name", name, **options)
        try:
            self.wait_for_reader(name)
        except BaseException:
            program.__exit__()
            raise
        return program

    def wait_for_reader(self, name: str) -> None:
        """Wait until somebody reads under this name."""
        for statistics in self.watch():
            if any(str(reader["name"]).startswith(name) for reader in statistics["readers"]):
                return

    def watch(self) -> Iterator[dict[str, Any]]:
        """Iterate over what the hub says of itself."""
        with connect(f"{self.url}topic/$statistics") as websocket:
            while True:
                yield json.loads(websocket.recv(PATIENCE))


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `driftline` to its end."""
    options.setdefault("input", "")
    options["env"] = {**os.environ, **options.get("env", {})}
    return subprocess.run(
        [*DRIFTLINE, *arguments], capture_output=True, text=True, timeout=PATIENCE, **options
    )


class Proxy:
    """Passes connections on to a port, until they are cut.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self._lock = Lock()
        self._sockets: list[socket.socket] = []
        self._open = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> None:
        """Cut all connections, and take none."""
        with self._lock:
            self._open = False
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            self._sockets.clear()

    def mend(self) -> None:
        """Take connections again."""
        with self._lock:
            self._open = True

    def close(self) -> None:
        """Cut all, and listen no more."""
        self.cut()
        self._listener.shutdown(socket.SHUT_RDWR)  # which wakes who accepts
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if not self._open:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [client, server]
            for pair in (client, server), (server, client):
                thread = Thread(target=_pass_on, args=pair, daemon=True)
                self._threads.append(thread)
                thread.start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with source:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(to: int) -> Iterator[Proxy]:
    """Have a proxy while a block runs."""
    found = Proxy(to)
    try:
        yield found
    finally:
        found.close()
