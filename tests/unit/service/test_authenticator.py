from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from starlette.requests import Request
from starlette.responses import Response

from tuner.people.permissions import LOCAL, Principal, Role
from tuner.people.tokens import digest
from tuner_service.auth.authenticator import CACHE_SECONDS, Authenticator, Caller
from tuner_service.errors import TooManyRequests, Unauthenticated
from tuner_service.settings import Settings

SECRET = b"s" * 32
GOOD = "stt_" + "a" * 43
GUESS = "stt_" + "g" * 43
SESSION = "s" * 43
ADA = Principal(user="ada", team="vision", role=Role.SUBMITTER, token_id="t1")


@dataclass
class Tokens:
    """Two ways to one token, which count how often they are used."""

    good: bool = True
    asked: list[str] = field(default_factory=list)

    def authenticate(self, secret: str) -> Principal | None:
        self.asked.append(secret)
        return ADA if self.good and secret == GOOD else None

    def session_principal(self, session_digest: str) -> Principal | None:
        self.asked.append(session_digest)
        return ADA if self.good and session_digest == digest(SESSION) else None

    def begin_session(self, token_id: str, *, lifetime: float) -> str:
        assert (token_id, lifetime) == ("t1", Settings().session_lifetime.total_seconds())
        return SESSION

    def end_session(self, session_digest: str) -> None:
        assert session_digest == digest(SESSION)
        self.good = False


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def request(*, cookie: str = "", **headers: str) -> Request:
    given = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    given += [(b"cookie", cookie.encode())] if cookie else []
    return Request({"type": "http", "method": "GET", "path": "/", "headers": given, "client": ("192.0.2.1", 1)})


def authenticator(tokens: Tokens, clock: Clock | None = None, *, login_rate_limit: str = "3/minute") -> Authenticator:
    settings = Settings(auth="on", login_rate_limit=login_rate_limit)
    return Authenticator(settings, accounts=tokens, secret=SECRET, clock=clock or Clock())


def identify(service: Authenticator, made: Request) -> Caller | None:
    return asyncio.run(service.identify(made))


def test_a_bearer_token_identifies_its_user():
    for scheme in ("Bearer", "bearer", "BEARER"):
        caller = identify(authenticator(Tokens()), request(authorization=f"{scheme} {GOOD}"))
        assert caller == Caller(principal=ADA)


def test_a_request_without_credentials_has_no_caller():
    assert identify(authenticator(Tokens()), request()) is None


@pytest.mark.parametrize(
    "given", [f"Bearer {GUESS}", "Bearer stt_short", "Bearer ", "Bearer", "", "Basic YTpi", GOOD, "Bearer é"]
)
def test_a_refused_token_is_not_in_the_error(given: str):
    with pytest.raises(Unauthenticated) as caught:
        identify(authenticator(Tokens()), request(authorization=given))
    assert "stt_" not in str(caught.value)


def test_a_refused_token_does_not_fall_back_to_the_session():
    service, response = authenticator(Tokens()), Response()
    asyncio.run(service.begin_session(response, token_id="t1"))
    cookie = response.headers["set-cookie"].split(";")[0]
    with pytest.raises(Unauthenticated):
        identify(service, request(cookie=cookie, authorization=f"Bearer {GUESS}"))


def test_a_session_is_as_good_as_its_token():
    tokens, clock = Tokens(), Clock()
    service, response = authenticator(tokens, clock), Response()
    asyncio.run(service.begin_session(response, token_id="t1"))
    made = request(cookie=response.headers["set-cookie"].split(";")[0])
    caller = identify(service, made)
    assert caller is not None
    assert caller.principal == ADA
    assert caller.session is not None
    tokens.good = False
    clock.now += CACHE_SECONDS
    assert identify(service, made) is None


def test_who_was_just_there_is_remembered_for_seconds():
    tokens, clock = Tokens(), Clock()
    service, made = authenticator(tokens, clock), request(authorization=f"Bearer {GOOD}")
    for _ in range(3):
        identify(service, made)
    assert tokens.asked == [GOOD]
    clock.now += CACHE_SECONDS
    identify(service, made)
    assert len(tokens.asked) == 2


def test_who_was_refused_is_not_remembered():
    tokens = Tokens(good=False)
    service, made = authenticator(tokens), request(authorization=f"Bearer {GOOD}")
    with pytest.raises(Unauthenticated):
        identify(service, made)
    tokens.good = True
    assert identify(service, made) is not None


def test_a_cleared_cache_is_filled_again():
    tokens = Tokens()
    service, made = authenticator(tokens), request(authorization=f"Bearer {GOOD}")
    identify(service, made)
    tokens.good = False
    service.forget()
    with pytest.raises(Unauthenticated):
        identify(service, made)


def test_what_was_found_before_it_was_forgotten_is_not_remembered_after():
    tokens = Tokens()
    service, made = authenticator(tokens), request(authorization=f"Bearer {GOOD}")
    find = tokens.authenticate

    def revoked_meanwhile(secret: str) -> Principal | None:
        found = find(secret)
        tokens.good = False
        service.forget()
        return found

    tokens.authenticate = revoked_meanwhile  # type: ignore[method-assign]
    assert identify(service, made) is not None
    with pytest.raises(Unauthenticated):
        identify(service, made)


def test_guessing_is_slowed_down_and_good_tokens_are_not():
    service = authenticator(Tokens())
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            identify(service, request(authorization=f"Bearer {GUESS}"))
    with pytest.raises(TooManyRequests) as caught:
        identify(service, request(authorization=f"Bearer {GUESS}"))
    assert 1 <= caught.value.seconds <= 60
    assert identify(service, request(authorization=f"Bearer {GOOD}"))


def test_a_text_that_has_not_the_form_of_a_credential_is_refused_without_a_look_at_the_database():
    tokens = Tokens()
    service = authenticator(tokens)
    for secret in ("stt_", "stt_" + "a" * 42, "a" * 43, "stt_" + "é" * 43, GOOD + "\n"):
        with pytest.raises(Unauthenticated):
            asyncio.run(service.log_in(secret, address=f"192.0.2.{len(secret)}"))
    assert identify(service, request(cookie=f"tuner_session={SESSION}x")) is None
    assert tokens.asked == []


def refused_flood(service: Authenticator, *, cookie: bool) -> list[object]:
    """Different unknown credentials of one address, all at a time."""

    async def flood() -> list[object]:
        texts = [f"{number:043}" for number in range(200)]
        made = [
            request(cookie=f"tuner_session={text}") if cookie else request(authorization=f"Bearer stt_{text}")
            for text in texts
        ]
        return list(await asyncio.gather(*map(service.identify, made), return_exceptions=True))

    return asyncio.run(flood())


@pytest.mark.parametrize("cookie", [False, True], ids=["tokens", "sessions"])
def test_a_flood_of_unknown_credentials_is_refused_with_next_to_no_reads_of_the_database(cookie: bool):
    tokens = Tokens()
    service = authenticator(tokens)
    identify(service, request(authorization=f"Bearer {GOOD}"))
    refused_flood(service, cookie=cookie)
    tokens.asked.clear()
    results = refused_flood(service, cookie=cookie)
    assert len(tokens.asked) <= 5
    assert sum(isinstance(result, TooManyRequests) for result in results) >= 195
    service.forget()
    assert identify(service, request(authorization=f"Bearer {GOOD}")) is not None


def test_a_session_that_was_ended_is_refused_at_once():
    service, response = authenticator(Tokens()), Response()
    asyncio.run(service.begin_session(response, token_id="t1"))
    made = request(cookie=response.headers["set-cookie"].split(";")[0])
    caller = identify(service, made)
    assert caller is not None
    assert caller.session is not None
    asyncio.run(service.end_session(caller.session))
    assert identify(service, made) is None


def test_an_empty_rate_is_no_limit():
    service = authenticator(Tokens(), login_rate_limit="")
    for _ in range(50):
        with pytest.raises(Unauthenticated):
            identify(service, request(authorization=f"Bearer {GUESS}"))


def test_without_a_login_everybody_is_local():
    service = Authenticator(Settings(auth="off"), accounts=Tokens(), secret=SECRET)
    assert identify(service, request(authorization=f"Bearer {GUESS}")) == Caller(principal=LOCAL)
