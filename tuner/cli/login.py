"""``tuner login``, ``tuner logout``, ``tuner whoami``: store a token, forget it, show the current user."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from tuner.cli.options import CURRENT_URL, Address, AsJson, Url
from tuner.cli.output import say, show, show_json
from tuner.cli.request import request
from tuner.errors import InvalidValue
from tuner.loopback import is_loopback

if TYPE_CHECKING:
    from tuner.client import Me


def login(url: Address = CURRENT_URL) -> None:
    """Log in to a service, and use it from now on.

    The command prompts for the token; where standard input is no terminal, it reads the token from there. The token is
    stored in a file that only you may read: `tuner/profiles.json` in the configuration folder.

    Example:
        tuner login https://tuner.example.org
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
        say("Without https others can read the token on its way: use the https address of the service, if it has one.")
    token = _read_token()
    with Client(address, token=token) as client:
        me = client.people.me()
    Profiles.default().store(address, token=token)
    say(f"You are {_describe(me)} at {address}. Commands without --url use this service from now on.")


def logout(
    url: Address = CURRENT_URL,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Revoke the token, too: the service refuses it from now on.")
    ] = False,
) -> None:
    """Log out: delete the stored token of a service.

    Example:
        tuner logout --revoke
    """
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
    say(f"The token for {address} is {'revoked and ' if revoke else ''}deleted.")


def whoami(as_json: AsJson = False, url: Url = CURRENT_URL) -> None:
    """Show the user and role that you have at the service.

    Example:
        tuner whoami
    """
    me, address = request(lambda client: (client.people.me(), client.url), url=url)
    if as_json:
        show_json(me)
    else:
        show(f"{_describe(me)} at {address}")


def _read_token() -> str:
    """The token from the prompt or from standard input.

    Raises:
        InvalidValue: It is empty, or no token.
    """
    token = (getpass.getpass("Token: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
    if not (token and token.isascii() and token.isprintable()):
        raise InvalidValue(
            "the token", allowed="given: it begins with stt_", hint="An admin of your team creates tokens"
        )
    return token


def _describe(me: Me) -> str:
    return f"{me.user}, {me.role.value} {'of the whole service' if me.team is None else f'in team {me.team}'}"
