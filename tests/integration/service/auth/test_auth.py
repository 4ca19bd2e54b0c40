from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi.testclient import TestClient

from tests.integration.service.team import Team, as_user, settle
from tuner.errors import DatabaseUnavailable
from tuner.store import Store
from tuner_service.app import create_app
from tuner_service.settings import Settings

HOST = "127.0.0.1:8642"


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> Settings:
    (tmp_path / "tuner.db").write_bytes(empty_database.read_bytes())
    return Settings(data_dir=tmp_path, auth="on", event_poll_interval=timedelta(milliseconds=20))


@pytest.fixture
def team(store: Store) -> Team:
    return settle(store)


@pytest.fixture
def browser(api: TestClient) -> TestClient:
    api.headers["Accept"] = "text/html,application/xhtml+xml"
    api.follow_redirects = False
    return api


def client_for(settings: Settings, store: Store, base_url: str) -> Iterator[TestClient]:
    with TestClient(create_app(settings, store=store), base_url=base_url) as client:
        yield client


def field(page: str, name: str) -> str:
    """What a form of a page holds in a hidden field."""
    return page.split(f'name="{name}" value="')[1].split('"')[0]


def log_in(browser: TestClient, secret: str, *, target: str = "/") -> Any:
    page = browser.get("/login", params={"next": target}).text
    form = {"token": secret, "next": field(page, "next"), "csrf_token": field(page, "csrf_token")}
    return browser.post("/login", data=form)


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/me", "/metrics", "/dashboard", "/api/studies", "/", "/nothing"])
def test_a_request_without_credentials_gets_how_to_log_in(api: TestClient, path: str):
    answer = api.get(path)
    assert answer.status_code == 401
    assert answer.json()["type"] == "/problems/unauthenticated"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "X-Request-ID" in answer.headers


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/problems/unauthenticated", "/login"])
def test_paths_without_stored_data_are_public(api: TestClient, path: str):
    assert api.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/problems/../v1/jobs", "/healthz/", "/login/x", "//healthz", "/openapi.json/../v1/me"]
)
def test_a_path_similar_to_a_public_one_is_not_public(api: TestClient, path: str):
    assert api.get(path).status_code in {401, 404}
    assert api.get(path).json()["type"] in {"/problems/unauthenticated", "/problems/not-found"}


def test_a_token_opens_the_service(api: TestClient, team: Team):
    assert api.get("/v1/me", headers=as_user(team.cleo)).json()["user"] == "cleo"
    assert api.get("/v1/jobs", headers=as_user(team.dan)).status_code == 200


def test_responses_forbid_caches_to_store_them(api: TestClient, team: Team):
    assert api.get("/v1/me", headers=as_user(team.cleo)).headers["cache-control"] == "private, no-store"


def test_a_revoked_token_is_refused_at_once_where_it_was_revoked(api: TestClient, team: Team):
    token_id = api.get("/v1/me", headers=as_user(team.cleo)).json()["token_id"]
    assert api.delete(f"/v1/tokens/{token_id}", headers=as_user(team.ben)).status_code == 204
    assert api.get("/v1/me", headers=as_user(team.cleo)).status_code == 401


@pytest.mark.parametrize("given", ["Bearer stt_hunter2", "Basic c3R0X2h1bnRlcjI=", "stt_hunter2", "Bearer"])
def test_a_refused_token_is_in_no_log_line_or_response(api: TestClient, team: Team, given: str):
    with structlog.testing.capture_logs() as lines:
        answer = api.get("/v1/me", headers={"Authorization": given})
    assert answer.status_code == 401
    assert "hunter2" not in answer.text + str(answer.headers) + str(lines)
    assert lines


def test_a_good_token_stands_in_no_log_line(api: TestClient, team: Team):
    with structlog.testing.capture_logs() as lines:
        api.get("/v1/me", headers=as_user(team.cleo))
        made = api.post("/v1/tokens", headers=as_user(team.cleo), json={"label": "x"})
        api.post("/v1/tokens", headers=as_user(team.cleo), json={"label": 3})
    assert team.cleo not in str(lines)
    assert made.json()["secret"] not in str(lines)


def test_a_database_that_is_away_is_not_a_refusal(
    api: TestClient, team: Team, store: Store, monkeypatch: pytest.MonkeyPatch
):
    def away(secret: str) -> None:
        raise DatabaseUnavailable("the database does not answer: connection refused")

    monkeypatch.setattr(store.people, "authenticate", away)
    answer = api.get("/v1/me", headers=as_user(team.cleo))
    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/database-unavailable"
    assert answer.headers["retry-after"]


def test_too_many_requests_get_a_retry_after(settings: Settings, store: Store, team: Team):
    few = settings.model_copy(update={"rate_limit": "3/hour"})
    for api in client_for(few, store, f"http://{HOST}"):
        for _ in range(3):
            assert api.get("/v1/me", headers=as_user(team.cleo)).status_code == 200
        answer = api.get("/v1/me", headers=as_user(team.cleo))
        assert answer.status_code == 429
        assert answer.json()["type"] == "/problems/too-many-requests"
        assert 0 < int(answer.headers["retry-after"]) <= 3600
        assert api.get("/v1/me", headers=as_user(team.ben)).status_code == 200, "each has an allowance"
        assert [api.get("/v1/me").status_code for _ in range(4)] == [401, 401, 401, 429]
        assert api.get("/healthz").status_code == 200


def test_a_large_body_is_refused_at_the_limit(settings: Settings, store: Store, team: Team):
    small = settings.model_copy(update={"body_limit": 1024})
    for api in client_for(small, store, f"http://{HOST}"):
        answer = api.post("/v1/tokens", headers=as_user(team.cleo), json={"label": "x" * 2000})
        assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("tuner.example", 200),
        ("TUNER.example:443", 200),
        ("api:8642", 200),
        ("10.1.2.3:8642", 200),
        ("[fd00::1]:8642", 200),
        ("localhost:8642", 200),
        ("evil.example", 421),
        ("tuner.example.evil.example", 421),
        ("", 421),
    ],
)
def test_off_loopback_the_service_goes_by_its_names(
    settings: Settings, store: Store, team: Team, host: str, expected: int
):
    named = {"host": "0.0.0.0", "public_url": "https://tuner.example", "allowed_hosts": ("api",)}
    for api in client_for(settings.model_copy(update=named), store, f"http://{HOST}"):
        assert api.get("/v1/me", headers={"Host": host} | as_user(team.cleo)).status_code == expected


def test_the_public_origin_is_accepted_with_any_host_of_the_proxy(settings: Settings, store: Store, team: Team):
    named = {"public_url": "https://tuner.example"}
    for api in client_for(settings.model_copy(update=named), store, f"http://{HOST}"):
        for origin, expected in (("https://tuner.example", 201), ("http://tuner.example", 403), ("null", 403)):
            headers = {"Origin": origin} | as_user(team.cleo)
            assert api.post("/v1/tokens", headers=headers, json={}).status_code == expected, origin


def test_a_browser_is_led_to_the_login_and_back(browser: TestClient, team: Team):
    away = browser.get("/dashboard/studies/3?tab=1")
    assert away.status_code == 303
    assert away.headers["location"] == "/login?next=%2Fdashboard%2Fstudies%2F3%3Ftab%3D1"
    target = "/dashboard/studies/3?tab=1"
    back = log_in(browser, team.cleo, target=target)
    assert (back.status_code, back.headers["location"]) == (303, target)
    home = browser.get("/")
    assert home.status_code == 200
    assert "cleo" in home.text
    assert browser.get("/login", params={"next": "/v1/me"}).status_code == 200


def test_the_api_never_redirects_to_the_login(browser: TestClient):
    assert browser.get("/v1/jobs").status_code == 401


def test_the_session_cookie_is_hidden_from_scripts_and_other_sites(browser: TestClient, team: Team):
    cookies = log_in(browser, team.cleo).headers.get_list("set-cookie")
    session = next(cookie for cookie in cookies if cookie.startswith("tuner_session="))
    assert "HttpOnly" in session
    assert "SameSite=lax" in session
    assert "Domain" not in session
    assert team.cleo not in str(cookies)


def test_behind_https_the_cookie_travels_by_it_alone(settings: Settings, store: Store, team: Team):
    named = {"public_url": "https://tuner.example"}
    for api in client_for(settings.model_copy(update=named), store, "https://tuner.example"):
        api.follow_redirects = False
        cookies = log_in(api, team.cleo).headers.get_list("set-cookie")
        assert any(cookie.startswith("__Host-tuner_session=") and "Secure" in cookie for cookie in cookies)
        assert api.get("/v1/me").json()["user"] == "cleo"


def test_every_refused_login_has_the_same_message(browser: TestClient, team: Team, store: Store):
    revoked = store.people.tokens(user="dan")[0]
    store.people.revoke_token(revoked.id)
    answers = [log_in(browser, secret) for secret in ("stt_guess", team.dan, "", "é", team.cleo[:-1])]
    assert {answer.status_code for answer in answers} == {401}
    pages = {answer.text.replace(field(answer.text, "csrf_token"), "") for answer in answers}
    assert len(pages) == 1
    assert not any("tuner_session" in str(answer.headers) for answer in answers)
    assert team.dan not in str([answer.text for answer in answers])


def test_guessing_at_the_login_is_slowed_down(browser: TestClient, team: Team):
    answers = [log_in(browser, f"stt_{number}") for number in range(21)]
    assert [answer.status_code for answer in answers] == [401] * 20 + [429]
    assert answers[-1].headers["retry-after"]
    assert log_in(browser, team.cleo).status_code == 303


def test_another_site_cannot_log_a_browser_in(browser: TestClient, team: Team):
    own = browser.get("/login").text
    browser.cookies.clear()
    theirs = browser.get("/login").text
    forged = {"token": team.eve, "csrf_token": field(own, "csrf_token")}
    for form in (forged, {"token": team.eve}, {"token": team.eve, "csrf_token": ""}):
        answer = browser.post("/login", data=form)
        assert answer.status_code == 403
        assert "tuner_session" not in str(answer.headers)
    browser.cookies.clear()
    answer = browser.post("/login", data={"token": team.eve, "csrf_token": field(theirs, "csrf_token")})
    assert answer.status_code == 403
    headers = {"Origin": "https://evil.example"}
    assert browser.post("/login", data=forged, headers=headers).status_code == 403


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_a_login_leads_nowhere_else(browser: TestClient, team: Team, target: str):
    assert log_in(browser, team.cleo, target=target).headers["location"] == "/"
    page = browser.get("/login", params={"next": target}).text
    assert "evil" not in page
    form = {"token": team.cleo, "next": target, "csrf_token": field(page, "csrf_token")}
    assert browser.post("/login", data=form).headers["location"] == "/"


def test_the_target_is_escaped_on_the_page(browser: TestClient):
    page = browser.get("/login", params={"next": '/"><script>alert(1)</script>'}).text
    assert "<script" not in page


def test_the_page_can_neither_be_framed_nor_load_anything(browser: TestClient):
    policy = browser.get("/login").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert browser.get("/login").headers["cache-control"] == "no-store"


def test_a_change_with_a_session_needs_what_only_our_pages_know(browser: TestClient, team: Team):
    log_in(browser, team.cleo)
    me = browser.get("/v1/me").json()
    for headers in ({}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": ""}):
        answer = browser.post("/v1/tokens", json={}, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/csrf")
    assert browser.post("/v1/tokens", json={}, headers={"X-CSRF-Token": me["csrf_token"]}).status_code == 201
    log_in(browser, team.cleo)
    assert browser.post("/v1/tokens", json={}, headers={"X-CSRF-Token": me["csrf_token"]}).status_code == 403


def test_a_token_needs_no_csrf_token(api: TestClient, team: Team):
    assert api.get("/v1/me", headers=as_user(team.cleo)).json()["csrf_token"] is None
    assert api.post("/v1/tokens", json={}, headers=as_user(team.cleo)).status_code == 201


def test_a_session_ends_with_its_token(browser: TestClient, team: Team):
    log_in(browser, team.cleo)
    me = browser.get("/v1/me").json()
    headers = {"X-CSRF-Token": me["csrf_token"]}
    assert browser.delete(f"/v1/tokens/{me['token_id']}", headers=headers).status_code == 204
    assert browser.get("/v1/me").status_code == 401
    assert browser.get("/").status_code == 303


def test_a_changed_cookie_is_no_session(browser: TestClient, team: Team):
    log_in(browser, team.cleo)
    cookie = browser.cookies["tuner_session"]
    browser.cookies.clear()
    browser.cookies.set("tuner_session", cookie[:-2] + "xx")
    assert browser.get("/v1/me").status_code == 401


def test_logging_out_ends_the_session_of_the_browser(browser: TestClient, team: Team):
    log_in(browser, team.cleo)
    assert browser.post("/logout").status_code == 403, "another site could have sent it"
    token = field(browser.get("/").text, "csrf_token")
    answer = browser.post("/logout", data={"csrf_token": token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert browser.get("/v1/me").status_code == 401


def test_a_cookie_that_was_copied_before_the_logout_is_refused_after_it(browser: TestClient, team: Team):
    log_in(browser, team.cleo)
    copy = browser.cookies["tuner_session"]
    token = field(browser.get("/").text, "csrf_token")
    browser.post("/logout", data={"csrf_token": token})
    browser.cookies.set("tuner_session", copy)
    assert browser.get("/v1/me").status_code == 401
    assert browser.get("/v1/me", headers=as_user(team.cleo)).status_code == 200, "the token stays valid"


def test_logging_out_leaves_the_other_browsers_of_the_token_logged_in(browser: TestClient, team: Team):
    log_in(browser, team.cleo)
    other = browser.cookies["tuner_session"]
    log_in(browser, team.cleo)
    browser.post("/logout", data={"csrf_token": field(browser.get("/").text, "csrf_token")})
    browser.cookies.set("tuner_session", other)
    assert browser.get("/v1/me").json()["user"] == "cleo"


def test_without_a_login_every_caller_is_local(settings: Settings, store: Store):
    for api in client_for(settings.model_copy(update={"auth": "off"}), store, f"http://{HOST}"):
        me = api.get("/v1/me", headers={"Authorization": "Bearer stt_old"}).json()
        assert (me["user"], me["team"], me["runs_the_service"], me["token_id"]) == ("local", None, True, None)
        assert api.get("/login", follow_redirects=False).headers["location"] == "/"
        assert "local" in api.get("/").text
