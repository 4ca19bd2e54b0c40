"""``tuner login``, ``tuner logout``, ``tuner whoami``: who the services take one for."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from tuner.cli.options import CURRENT_URL, Address, AsJson, Url
from tuner.cli.output import say, show, show_json
from tuner.errors import InvalidValue
from tuner.loopback import is_loopback

if TYPE_CHECKING:
    from tuner.client import Me


def login(url: Address = CURRENT_URL) -> None:
    """Store a token for a service, and use that service from now on.

    The token is asked for, and not shown; where there is no terminal, it is read from standard input. It is kept in a
    file that nobody else may read: `tuner/profiles.json` in the configuration folder.
    """
    from tuner.client import Client, NotLoggedIn, Profiles

    with Client.from_profile(url) as client:
        address = client.url
    with Client(address) as client:
        try:
            client.people.me()
        except NotLoggedIn:
            pass
        else:
            say(f"{address} needs no login.")
            return
    parts = urlsplit(address)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        say("Without https the token can be read on the way: take the https address of the service, if it has one.")
    token = _asked_for()
    with Client(address, token=token) as client:
        me = client.people.me()
    Profiles.default().store(address, token=token)
    say(f"You are {_in_words(me)} at {address}. Commands without --url go there from now on.")


def logout(
    url: Address = CURRENT_URL,
    revoke: Annotated[bool, typer.Option("--revoke", help="Have the service refuse the token from now on.")] = False,
) -> None:
    """Forget the token of a service."""
    from tuner.client import Client, Profiles

    with Client.from_profile(url) as client:
        address = client.url
    profiles = Profiles.default()
    token = profiles.token(address)
    if token is None:
        say(f"No token is stored for {address}.")
        return
    if revoke:
        with Client(address, token=token) as client:
            me = client.people.me()
            if me.token_id is not None:
                client.people.revoke_token(me.token_id)
    profiles.forget(address)
    say(f"The token for {address} is {'revoked and ' if revoke else ''}forgotten.")


def whoami(as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """Say who the service takes you for, and what you may do."""
    from tuner.client import Client

    with Client.from_profile(url) as client:
        me, address = client.people.me(), client.url
    if as_json:
        show_json(me)
    else:
        show(f"{_in_words(me)} at {address}")


def _asked_for() -> str:
    """The token that somebody types or pipes.

    Raises:
        InvalidValue: There is none.
    """
    token = (getpass.getpass("Token: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
    if not (token and token.isascii() and token.isprintable()):
        raise InvalidValue("the token", allowed="given: it begins with stt_", hint="Admins make tokens")
    return token


def _in_words(me: Me) -> str:
    return f"{me.user}, {me.role.value} {'of the whole service' if me.team is None else f'in team {me.team}'}"
