"""The errors of the client."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx2
import pytest

from tuner.client import ApiProblem, Client, NotLoggedIn, ServiceUnreachable


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address without a listener: bound, so that no other process takes it meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def answering(status: int, body: bytes, *, content_type: str) -> Iterator[str]:
    """A server with the same response to every request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_without_a_service_the_error_says_what_to_start(nobody: str):
    with Client(nobody) as client, pytest.raises(ServiceUnreachable) as caught:
        client.workloads()
    assert caught.value.url == nobody
    assert nobody in str(caught.value)
    assert "tuner up" in str(caught.value)


def test_waiting_for_a_service_ends_at_the_deadline(nobody: str):
    with Client(nobody) as client, pytest.raises(ServiceUnreachable):
        client.wait_ready(0.2)


def test_watching_gives_up_when_patience_ends(nobody: str):
    with Client(nobody) as client, pytest.raises(ServiceUnreachable):
        next(client.events("j", patience=0.2))


def test_a_problem_keeps_its_members():
    body = b'{"type": "/problems/x", "title": "X", "status": 409, "detail": "Do y.", "instance": "urn:i", "state": "a"}'
    with (
        answering(409, body, content_type="application/problem+json") as url,
        Client(url) as client,
        pytest.raises(ApiProblem, match=r"Do y\.") as caught,
    ):
        client.job("j")
    problem = caught.value
    assert (problem.status, problem.type, problem.title, problem.detail) == (409, "/problems/x", "X", "Do y.")
    assert problem.members == {"instance": "urn:i", "state": "a"}


@pytest.mark.parametrize("body", [b"<html>Not found</html>", b"[]", b'{"detail": "Not Found"}'])
def test_another_service_is_recognized_as_another(body: bytes):
    with (
        answering(404, body, content_type="text/html") as url,
        Client(url) as client,
        pytest.raises(ApiProblem, match="not as Schedule Tuner"),
    ):
        client.workers()


def test_a_refused_stream_raises_its_problem():
    body = b'{"type": "/problems/not-found", "title": "T", "status": 404, "detail": "D", "instance": "urn:i"}'
    with (
        answering(404, body, content_type="application/problem+json") as url,
        Client(url) as client,
        pytest.raises(ApiProblem, match="D"),
    ):
        next(client.events("j"))


def test_a_service_that_stays_unready_raises_its_problem():
    body = b'{"type": "/problems/not-ready", "title": "T", "status": 503, "detail": "the database", "instance": "i"}'
    with (
        answering(503, body, content_type="application/problem+json") as url,
        Client(url) as client,
        pytest.raises(ApiProblem, match="the database"),
    ):
        client.wait_ready(0.1)


LOGIN = {"type": "/problems/unauthenticated", "title": "T", "status": 401, "detail": "D", "instance": "urn:i"}


@pytest.mark.parametrize(
    ("token", "words"), [(None, "requires a login"), ("stt_x", "does not accept the token: it is wrong, expired")]
)
def test_where_a_login_is_required_the_error_says_how_to_log_in(token: str | None, words: str):
    transport = httpx2.MockTransport(lambda request: httpx2.Response(401, json=LOGIN))
    with (
        Client("https://tuner.example", token=token, transport=transport) as client,
        pytest.raises(NotLoggedIn, match=words) as caught,
    ):
        client.queue()
    assert "`tuner login https://tuner.example`" in str(caught.value)
    assert (caught.value.status, caught.value.type) == (401, "/problems/unauthenticated")


BUSY = {"type": "/problems/too-many-requests", "title": "T", "status": 429, "detail": "Slow", "instance": "urn:i"}


def test_a_rate_limited_request_is_retried_after_the_stated_time():
    answers = iter([httpx2.Response(429, json=BUSY, headers={"Retry-After": "0"}), httpx2.Response(200, json=[])])
    with Client("http://t", transport=httpx2.MockTransport(lambda request: next(answers))) as client:
        assert client.shares() == ()


@pytest.mark.parametrize("headers", [{"Retry-After": "3600"}, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, {}])
def test_a_long_retry_after_raises_the_problem(headers: dict[str, str]):
    transport = httpx2.MockTransport(lambda request: httpx2.Response(429, json=BUSY, headers=headers))
    with Client("http://t", transport=transport) as client, pytest.raises(ApiProblem, match="Slow"):
        client.shares()
