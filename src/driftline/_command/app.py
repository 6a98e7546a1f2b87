"""What can be written on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version as version_of
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from driftline import Bus
from driftline._command.address import HOST, PORT, Address, parse_address
from driftline._command.grants import parse_grants, parse_pair
from driftline._command.stopping import Loop, run, stoppable
from driftline.protocol import Subscribe

app = typer.Typer(
    name="driftline",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_HUB = "localhost, host:port, ws://host:port/, or the address of the inspector."

HubAddress = Annotated[str, typer.Argument(metavar="HUB", help=_HUB, show_default=False)]
Token = Annotated[
    str | None,
    typer.Option(envvar="DRIFTLINE_TOKEN", help="Who you are, for hubs that ask.", metavar="TOKEN"),
]


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"driftline {version_of('driftline')}")
        raise typer.Exit


@app.callback()
def driftline(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Publish from anywhere, read at your own pace, and see who is behind.

    \b
    tail -F access.log | driftline serve --stdin logs     a hub, and lines for it
    driftline tail localhost logs                         what is published
    driftline top localhost                               who is behind
    driftline publish localhost news "hello"              publish
    driftline demo                                        see all of it at once

    Each command says more with --help.
    """


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 is all.")] = HOST,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any that is free.")] = PORT,
    stdin: Annotated[
        str | None,
        typer.Option(metavar="TOPIC", help="Publish the lines of standard input there."),
    ] = None,
    follow: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE=TOPIC", help="Publish lines added to a file, like tail -F."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="Messages of a topic kept for slow readers.")
    ] = 10_000,
    replay: Annotated[
        int, typer.Option(min=0, help="Messages of a topic kept for readers who come later.")
    ] = 0,
    max_topics: Annotated[int, typer.Option(min=1, help="Topics at a time.")] = 10_000,
    rate: Annotated[
        float, typer.Option(min=1, help="Messages a second that a client may send.")
    ] = 1000,
    origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Have pages of another origin connect, too."),
    ] = None,
    token: Annotated[
        list[str] | None,
        typer.Option(metavar="TOKEN", help="Ask for a token; this one allows everything."),
    ] = None,
    read_token: Annotated[
        list[str] | None,
        typer.Option(metavar="TOKEN=PATTERN", help="A token for reading what matches."),
    ] = None,
    publish_token: Annotated[
        list[str] | None,
        typer.Option(metavar="TOKEN=PATTERN", help="A token for publishing on what matches."),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Who has no token may read, and nothing else.")
    ] = False,
    loop: Annotated[
        Loop | None, typer.Option(help="The event loop; uvloop, if it is installed.")
    ] = None,
) -> None:
    """Serve topics to browsers and programs, until Ctrl-C or SIGTERM.

    It prints the address of the inspector, a page that shows topics and readers. Without a token
    everybody who can connect may read and publish; unless told otherwise, that is this machine.

    \b
    tail -F access.log | driftline serve --stdin logs
    driftline serve --follow access.log=logs.web --follow error.log=logs.errors --replay 100
    driftline serve --host 0.0.0.0 --token s3cret --read-token 'guest=public.>'

    It ends with 130 after Ctrl-C, and with 0 after SIGTERM, as services should.
    """
    from driftline._command.serve import Serving, serve_until_stopped

    with _in_words():
        followed = tuple((Path(file), topic) for file, topic in map(parse_pair, follow or ()))
        for topic in [*([] if stdin is None else [stdin]), *(topic for _, topic in followed)]:
            Bus().topic(topic)  # which refuses what is no name
        grants = parse_grants(
            token or (), read_token or (), publish_token or (), read_only=read_only
        )
    serving = Serving(
        host=host,
        port=port,
        stdin=stdin,
        follow=followed,
        limit=max(limit, replay),
        replay=replay,
        max_topics=max_topics,
        rate=rate,
        origins=tuple(origin or ()),
        grants=grants,
    )
    raise typer.Exit(run(partial(serve_until_stopped, serving), _loop(loop)))


@app.command()
def tail(
    hub: HubAddress,
    patterns: Annotated[
        list[str],
        typer.Argument(
            metavar="PATTERN...", help="Topics: names, 'logs.*', or 'logs.>' for all below."
        ),
    ],
    topics: Annotated[
        bool, typer.Option("--topics", help="Print the topic before each value.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print objects with topic, seq, at and value.")
    ] = False,
    count: Annotated[
        int | None, typer.Option("-n", "--count", min=1, help="Stop after so many messages.")
    ] = None,
    replay: Annotated[
        int, typer.Option(min=0, help="Begin with the last messages that the hub keeps.")
    ] = 0,
    name: Annotated[str | None, typer.Option(help="What the inspector calls this reader.")] = None,
    on_lag: Annotated[
        Literal["skip", "latest", "close"] | None,
        typer.Option(help="What happens when we read too slowly."),
    ] = None,
    token: Token = None,
) -> None:
    """Print what is published, a line for each message.

    When the connection is lost, it connects again, and goes on where it was, if that takes less
    than a minute. What was missed is said on standard error.

    \b
    driftline tail localhost logs
    driftline tail localhost 'machine.>' --topics
    driftline tail hub.example:8765 'orders.*' --json --replay 100 | jq .value
    """
    from driftline._command.reading import KEEP
    from driftline._command.tail import Tailing, tail

    tailing = Tailing(
        address=_address(hub, token),
        request=Subscribe(
            patterns=tuple(dict.fromkeys(patterns)),
            name=name,
            replay=replay or None,
            keep=KEEP,
            on_lag=on_lag,
        ),
        topics=topics,
        json=json,
        count=count,
    )
    raise typer.Exit(run(partial(stoppable, partial(tail, tailing))))


@app.command()
def publish(
    hub: HubAddress,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Where to publish.")],
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VALUE...]", help="What; or else the lines of standard input."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Values are JSON, and not text.")] = False,
    token: Token = None,
) -> None:
    """Publish values, or the lines of standard input.

    It ends with 0 when the hub has acknowledged all of them, and otherwise says what went wrong.

    \b
    driftline publish localhost news "it works"
    driftline publish localhost prices --json '{"eur": 1.08}' 17
    vmstat 1 | driftline publish localhost machine.vmstat
    """
    from driftline._command.publish import publish

    address = _address(hub, token)
    work = partial(publish, address, topic, values or [], as_json=json)
    raise typer.Exit(run(partial(stoppable, work)))


@app.command()
def top(
    hub: HubAddress,
    json: Annotated[
        bool, typer.Option("--json", help="Print each snapshot as a line of JSON.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Print one snapshot.")] = False,
    token: Token = None,
) -> None:
    """Show topics and readers, the slowest first, renewed each second.

    \b
    driftline top localhost
    driftline top localhost --once
    driftline top localhost --json | jq '.readers[0].lag'
    """
    from driftline._command.top import top

    work = partial(top, _address(hub, token), once=once, as_json=json)
    raise typer.Exit(run(partial(stoppable, work)))


@app.command()
def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any that is free.")] = 0,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Stop by itself after so long.")
    ] = None,
) -> None:
    """Serve figures of this machine to fast and slow clients.

    Once a second the load, the memory, the network and each process are published; a few clients
    read them, one of them slowly, so that its lag grows and shrinks.

    \b
    driftline demo
    driftline demo --seconds 30
    """
    from driftline._command.demo import demo

    raise typer.Exit(run(partial(demo, port, seconds)))


def _address(hub: str, token: str | None) -> Address:
    with _in_words():
        return parse_address(hub, token)


@contextmanager
def _in_words() -> Iterator[None]:
    """Say what is wrong on the command line, and how it is used."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _loop(asked: Loop | None) -> Loop:
    if asked is None:
        return "uvloop" if find_spec("uvloop") else "asyncio"
    if asked != "asyncio" and not find_spec(asked):
        raise typer.BadParameter(f"{asked} is not installed: pip install 'driftline[{asked}]'")
    return asked
