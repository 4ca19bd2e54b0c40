from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from http.cookies import SimpleCookie

import pytest
from starlette.responses import Response

from tuner_service.auth.sessions import Session, Sessions

SECRET = b"s" * 32


def sessions(secret: bytes = SECRET, *, lifetime: timedelta = timedelta(hours=1), secure: bool = False) -> Sessions:
    return Sessions(secret, lifetime=lifetime, secure=secure)


def cookies_of(response: Response) -> SimpleCookie:
    jar = SimpleCookie()
    for name, value in response.raw_headers:
        if name == b"set-cookie":
            jar.load(value.decode())
    return jar


def cookie_for(token_id: str, made: Sessions) -> str:
    response = Response()
    made.begin(response, token_id=token_id)
    return cookies_of(response)[made.cookie].value


def test_a_cookie_says_whose_token_it_stands_for():
    session = sessions().read(cookie_for("t1", sessions()))
    assert session is not None
    assert session.token_id == "t1"


def test_every_login_is_another_session():
    first, second = (sessions().read(cookie_for("t1", sessions())) for _ in range(2))
    assert first != second


def test_what_another_key_signed_is_not_believed():
    assert sessions(b"x" * 32).read(cookie_for("t1", sessions())) is None


@pytest.mark.parametrize(
    "change", [lambda c: "", lambda c: c[:-1], lambda c: "x" + c, lambda c: c + ".x", lambda c: "é"]
)
def test_a_changed_cookie_is_not_believed(change: Callable[[str], str]):
    assert sessions().read(change(cookie_for("t1", sessions()))) is None


def test_a_session_ends(monkeypatch: pytest.MonkeyPatch):
    made = sessions(lifetime=timedelta(minutes=1))
    cookie = cookie_for("t1", made)
    assert made.read(cookie) is not None
    monkeypatch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda self: int(time.time()) + 62)
    assert made.read(cookie) is None


def test_a_login_form_is_no_session():
    _, signed = sessions().new_form()
    assert sessions().read(signed) is None


@pytest.mark.parametrize(("secure", "name"), [(False, "tuner_session"), (True, "__Host-tuner_session")])
def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(secure: bool, name: str):
    made, response = sessions(secure=secure), Response()
    made.begin(response, token_id="t1")
    cookie = cookies_of(response)[name]
    assert cookie["httponly"]
    assert cookie["samesite"] == "lax"
    assert bool(cookie["secure"]) is secure
    assert cookie["path"] == "/"
    assert cookie["domain"] == ""
    assert cookie["max-age"] == "3600"


def test_logging_out_removes_the_cookie():
    made, response = sessions(), Response()
    made.end(response)
    cookie = cookies_of(response)[made.cookie]
    assert (cookie.value, cookie["max-age"]) == ("", "0")


def test_a_csrf_token_is_good_for_its_own_session_alone():
    made = sessions()
    one, other = Session(token_id="t1", nonce="a"), Session(token_id="t1", nonce="b")
    assert made.is_csrf_token(made.csrf_token(one), session=one)
    assert not made.is_csrf_token(made.csrf_token(other), session=one)
    assert not made.is_csrf_token("", session=one)
    assert not made.is_csrf_token("é", session=one)
    assert sessions(b"x" * 32).csrf_token(one) != made.csrf_token(one)


def test_a_login_form_is_valid_for_its_own_browser_alone():
    nonce, signed = sessions().new_form()
    other_nonce, other_signed = sessions().new_form()
    assert sessions().is_own_form(signed, cookie=nonce)
    assert not sessions().is_own_form(signed, cookie=other_nonce)
    assert not sessions().is_own_form(other_signed, cookie=nonce)
    assert not sessions().is_own_form(signed, cookie="")
    assert not sessions().is_own_form("", cookie=nonce)
    assert not sessions().is_own_form("", cookie="")
