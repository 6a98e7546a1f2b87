"""Who may do what, and which pages may connect."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from inspect import isawaitable
from ipaddress import ip_address
from typing import Literal, TypedDict
from urllib.parse import urlsplit

from driftline import Bus

Action = Literal["read", "publish"]
"""What somebody wants to do."""
Authorize = Callable[[str | None, Action, str], bool | Awaitable[bool]]
"""Whether a token, or None, allows to read what matches a pattern, or to publish on a topic."""


class Grant(TypedDict, total=False):
    """What a token allows: patterns, of which ">" is everything."""

    read: Iterable[str]
    publish: Iterable[str]


class Tokens:
    """Lets those do what their token allows who have one; an `authorize` for `serve`.

    ::

        Tokens({"s3cret": {"read": [">"], "publish": ["chat.>"]}})

    Args:
        grants: what each token allows. With `None` as the token: what all may do.

    Raises:
        TypeError, ValueError: a grant is not as it should be.
    """

    def __init__(self, grants: Mapping[str | None, Grant]) -> None:
        self._grants = [(token, _checked_grant(grant)) for token, grant in grants.items()]

    def __call__(self, token: str | None, action: Action, name: str) -> bool:
        return any(
            any(covers(pattern, name) for pattern in grant[action])
            for known, grant in self._grants
            if known is None or _is_same(known, token)
        )

    def knows(self, token: str) -> bool:
        """Return whether there is such a token."""
        return any(known is not None and _is_same(known, token) for known, _ in self._grants)


def covers(pattern: str, asked: str) -> bool:
    """Return whether everything that `asked` matches, a pattern or a name, the pattern does.

    Of the hub's own names, which begin with "$", only ">" covers those that it does not name.
    """
    if asked.startswith("$"):
        return pattern in (asked, ">")
    ours, theirs = pattern.split("."), asked.split(".")
    for index, token in enumerate(ours):
        if token == ">":
            return index < len(theirs)
        if index >= len(theirs) or theirs[index] == ">":
            return False
        if token not in ("*", theirs[index]):
            return False
    return len(ours) == len(theirs)


def checked_origins(origins: Iterable[str]) -> tuple[str, ...]:
    """Return origins, or say what is wrong with them."""
    if isinstance(origins, str):
        raise TypeError(f"origins is a list, such as [{origins!r}], not text")
    for origin in (found := tuple(origins)):
        scheme, separator, address = origin.partition("://")
        if (origin != "*" and not (scheme and separator and address)) or "/" in address:
            raise ValueError(
                f'an origin is "https://" or "http://", a name, and a port if it is not the usual '
                f"one, with nothing behind it, not {origin!r}"
            )
    return found


async def allows(authorize: Authorize | None, token: str | None, action: Action, name: str) -> bool:
    """Return whether somebody may do something; without `authorize`, everybody may."""
    if authorize is None:
        return True
    answer = authorize(token, action, name)
    return bool(await answer if isawaitable(answer) else answer)


def is_allowed_origin(origin: str | None, host: str | None, allowed: Iterable[str]) -> bool:
    """Return whether a page may connect: one of our own, or of an origin that was allowed.

    A foreign page could have its own name point here (DNS rebinding), and then look like one of
    our own. So a page is ours only at an address in numbers, or at localhost.

    Args:
        origin: the header, which browsers send, and nobody else must.
        host: the header, to whom the request was sent.
        allowed: such as "https://example.org"; "*" is all of them.
    """
    if origin is None:
        return True
    if any(each in ("*", origin) for each in allowed):
        return True
    try:
        found = urlsplit(origin)
        return bool(found.netloc) and found.netloc == host and _is_no_name(found.hostname)
    except ValueError:  # it is no address at all
        return False


def bearer(authorization: str | None) -> str | None:
    """Return the token of the header, or None."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def owner_of(authorize: Authorize | None, token: str | None, address: str) -> str:
    """Return to whom belongs what is kept: a token that there is, or else a host."""
    if token is not None and isinstance(authorize, Tokens) and authorize.knows(token):
        return f"token {token}"
    return address.rpartition(":")[0]


def _checked_grant(grant: Grant) -> dict[str, tuple[str, ...]]:
    example = '{"read": ["news.>"], "publish": ["chat.*"]}'
    if not isinstance(grant, Mapping):
        raise TypeError(f"what a token allows is a dict such as {example}, not {grant!r}")
    if unknown := set(grant) - {"read", "publish"}:
        raise ValueError(f"a token allows to read and to publish, not {min(unknown)!r}: {example}")
    found = {}
    for action, patterns in (
        ("read", grant.get("read", ())),
        ("publish", grant.get("publish", ())),
    ):
        if isinstance(patterns, str):
            raise TypeError(f"{action!r} takes a list of patterns, such as [{patterns!r}]")
        found[action] = tuple(patterns)
        for pattern in found[action]:
            Bus().subscribe(pattern).close()  # which says what is wrong with it
    return found


def _is_no_name(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        ip_address(host or "")
    except ValueError:
        return False
    return True


def _is_same(known: str, token: str | None) -> bool:
    # In a time that does not tell how much of it was right.
    return token is not None and hmac.compare_digest(_bytes(known), _bytes(token))


def _bytes(token: str) -> bytes:
    return token.encode(errors="surrogatepass")
