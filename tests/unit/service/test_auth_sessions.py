from __future__ import annotations

from datetime import timedelta
from http.cookies import SimpleCookie

import pytest
from starlette.responses import Response

from tuner.people.tokens import digest, new_session
from tuner_service.auth.sessions import Session, Sessions

SECRET = b"s" * 32
SESSION = new_session()


def sessions(secret: bytes = SECRET, *, lifetime: timedelta = timedelta(hours=1), secure: bool = False) -> Sessions:
    return Sessions(secret, lifetime=lifetime, secure=secure)


def cookies_of(response: Response) -> SimpleCookie:
    jar = SimpleCookie()
    for name, value in response.raw_headers:
        if name == b"set-cookie":
            jar.load(value.decode())
    return jar


@pytest.mark.parametrize("damage", ["empty", "shorter", "longer", "no ASCII", "a line break"])
def test_a_text_that_is_no_secret_of_a_session_is_none(damage: str):
    cookies = {
        "empty": "",
        "shorter": SESSION[:-1],
        "longer": SESSION + "x",
        "no ASCII": SESSION[:-1] + "é",
        "a line break": SESSION + "\n",
    }
    assert sessions().read(cookies[damage]) is None


def test_a_session_is_known_by_the_digest_of_its_secret():
    assert sessions().read(SESSION) == Session(digest=digest(SESSION))


def test_a_login_form_is_no_session():
    _, signed = sessions().new_form()
    assert sessions().read(signed) is None


@pytest.mark.parametrize(("secure", "name"), [(False, "tuner_session"), (True, "__Host-tuner_session")])
def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(secure: bool, name: str):
    made, response = sessions(secure=secure), Response()
    made.begin(response, secret=SESSION)
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
    one, other = Session(digest="a"), Session(digest="b")
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
