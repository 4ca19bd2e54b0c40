"""Clients that are slow or many, against our own server without a proxy before it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.digits import SCHEDULES
from tests.integration.service.live import PATIENCE_SECONDS, served, service_process, wait_until
from tests.integration.service.team import as_user, settle
from tuner.people.permissions import Role
from tuner.schedules.lengths import MAX_STEPS
from tuner.store import Store
from tuner_service.server import Server
from tuner_service.settings import Settings

SHORT = timedelta(milliseconds=200)
LONG = timedelta(seconds=PATIENCE_SECONDS)
EXPORT = {
    "schedule": SCHEDULES[1].model_dump(mode="json", exclude_none=True),
    "total_steps": MAX_STEPS,
    "format": "csv",
}


@contextmanager
def listening(settings: Settings, *, store: Store, **changes: Any) -> Iterator[Server]:
    limits = {"header_timeout": LONG, "body_timeout": LONG, "write_timeout": LONG} | changes
    with served(settings.model_copy(update={"port": 0, **limits}), store=store) as server:
        yield server


def connected(url: str, sent: bytes = b"") -> socket.socket:
    """A connection on which some bytes were sent, and whose buffers are small."""
    host, port = url.removeprefix("http://").split(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(PATIENCE_SECONDS)
    client.connect((host, int(port)))
    client.sendall(sent)
    return client


def request(method: str, path: str, *, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    lines = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(content))}
    head = "".join(f"{name}: {value}\r\n" for name, value in (lines | (headers or {})).items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content


def is_closed(client: socket.socket) -> bool:
    """Whether the server has closed the connection; waits for it."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def has_ended(client: socket.socket) -> bool:
    """Whether the server has closed the connection; reads what has arrived."""
    client.setblocking(False)
    try:
        while client.recv(1000):
            pass
    except BlockingIOError:
        return False
    return True


def status_of(client: socket.socket) -> int:
    return int(client.recv(64).split()[1])


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTT", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "])
def test_a_client_that_does_not_complete_its_headers_is_disconnected(settings: Settings, store: Store, sent: bytes):
    with listening(settings, store=store, header_timeout=SHORT) as server, connected(server.address, sent) as client:
        assert is_closed(client)


def test_headers_that_come_in_drops_are_late_all_the_same(settings: Settings, store: Store):
    with listening(settings, store=store, header_timeout=SHORT) as server, connected(server.address) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\n")

        def one_more_is_refused() -> bool:
            try:
                client.sendall(b"X-Slow: 1\r\n")
            except OSError:
                return True
            return False

        wait_until(one_more_is_refused, what="the end of the connection")


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_a_client_that_does_not_complete_its_body_is_disconnected_without_an_error_in_the_log(
    settings: Settings, store: Store, framing: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    half = f"POST /v1/schedules/preview HTTP/1.1\r\nHost: 127.0.0.1\r\n{framing}\r\n\r\n".encode()
    with (
        listening(settings, store=store, body_timeout=SHORT) as server,
        connected(server.address, half + b'5\r\n{"sch') as client,
    ):
        assert is_closed(client)
    assert "Traceback" not in caplog.text + "".join(capsys.readouterr())


def test_a_body_of_very_many_very_small_chunks_is_refused(
    settings: Settings, store: Store, caplog: pytest.LogCaptureFixture
):
    head = b"POST /v1/schedules/preview HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with listening(settings, store=store) as server:
        with connected(server.address, head + b"1\r\n \r\n" * 1_500) as client:
            assert status_of(client) == 400
        with connected(
            server.address, head + b"40\r\n%b\r\n" % (b" " * 64) * 1_500 + b"2\r\n{}\r\n0\r\n\r\n"
        ) as client:
            assert status_of(client) in {415, 422}  # large enough: the body was read
    assert "Traceback" not in caplog.text


def test_what_is_malformed_after_its_response_ends_the_connection_without_an_error_in_the_log(
    settings: Settings, store: Store, caplog: pytest.LogCaptureFixture
):
    early = b"POST /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with listening(settings, store=store) as server, connected(server.address, early) as client:
        assert status_of(client) == 404
        client.sendall(b"no chunk\r\n")
        while not is_closed(client):
            pass
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("header", [b"X-Long: " + b"x" * 200_000, b"X: y\r\n" * 20_000], ids=["one", "many"])
def test_headers_of_any_length_are_not_kept_in_memory(settings: Settings, store: Store, header: bytes):
    with listening(settings, store=store) as server, connected(server.address) as client:
        with suppress(OSError):
            client.sendall(b"GET /healthz HTTP/1.1\r\n" + header)
        while not is_closed(client):
            pass


def test_a_client_that_does_not_read_is_disconnected_and_its_place_is_free(settings: Settings, store: Store):
    with (
        listening(settings, store=store, write_timeout=SHORT, expensive_limit=1) as server,
        connected(server.address, request("POST", "/v1/schedules/export", body=EXPORT)),
    ):
        small = EXPORT | {"total_steps": 20}
        wait_until(
            lambda: httpx2.post(f"{server.address}/v1/schedules/export", json=small).status_code == 200,
            what="the place of the client that does not read",
        )


def test_a_slow_stream_goes_on_past_the_time_outs_for_requests(settings: Settings, store: Store):
    with (
        listening(settings, store=store, header_timeout=SHORT, body_timeout=SHORT, write_timeout=SHORT) as server,
        connected(server.address, request("GET", "/v1/events")) as stream,
        connected(server.address, b"GET /hea") as other,
    ):
        assert status_of(stream) == 200
        assert is_closed(other)  # as late as the stream, and without a request
        assert not has_ended(stream)


def test_one_user_has_a_limited_number_of_expensive_requests_under_way_and_others_have_theirs(
    settings: Settings, store: Store
):
    team = settle(store)
    with listening(settings, store=store, auth="on", expensive_limit=2) as server, ExitStack() as opened:
        url = f"{server.address}/v1/schedules/export"
        _, further = store.people.create_token("dan", team="vision", role=Role.VIEWER)
        for secret in (team.dan, further):
            unread = request("POST", "/v1/schedules/export", body=EXPORT, headers=as_user(secret))
            client = opened.enter_context(connected(server.address, unread))
            assert status_of(client) == 200
        refused = httpx2.post(url, json=EXPORT | {"total_steps": 20}, headers=as_user(team.dan))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["rate"] == "2 expensive requests at a time"
        assert httpx2.post(url, json=EXPORT | {"total_steps": 20}, headers=as_user(team.cleo)).status_code == 200


def test_unread_exports_of_the_longest_run_take_constant_memory(tmp_path: Path):
    with service_process(tmp_path) as service, ExitStack() as opened:
        url = f"{service.url}/v1/schedules/export"
        assert httpx2.post(url, json=EXPORT | {"total_steps": 20_000}).status_code == 200
        before = resident_mib(service.process.pid)
        statuses = []
        for _ in range(60):
            unread = request("POST", "/v1/schedules/export", body=EXPORT)
            statuses.append(status_of(opened.enter_context(connected(service.url, unread))))
        assert httpx2.get(f"{service.url}/healthz").status_code == 200
        assert resident_mib(service.process.pid) - before < 60
        assert set(statuses) == {200, 429}


def resident_mib(pid: int) -> float:
    """The largest resident memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class TestConnections:
    def test_the_one_that_waits_longest_for_a_request_gives_way(self, settings: Settings, store: Store):
        with listening(settings, store=store, connection_limit=8) as server, ExitStack() as opened:
            waiting = [opened.enter_context(connected(server.address, b"GET /v1/jo")) for _ in range(8)]
            assert httpx2.get(f"{server.address}/healthz").status_code == 200
            assert is_closed(waiting[0])
            opened.enter_context(connected(server.address, b"GET /v1/jo"))
            assert httpx2.get(f"{server.address}/v1/jobs").status_code == 200
            assert is_closed(waiting[1])

    def test_half_sent_bodies_give_way_too(self, settings: Settings, store: Store):
        half = request("POST", "/v1/schedules/preview", headers={"Content-Length": "100"})
        with listening(settings, store=store, connection_limit=8) as server, ExitStack() as opened:
            waiting = [opened.enter_context(connected(server.address, half)) for _ in range(8)]
            assert httpx2.get(f"{server.address}/healthz").status_code == 200
            assert is_closed(waiting[0])

    def test_requests_that_run_are_not_closed_and_a_further_connection_is(self, settings: Settings, store: Store):
        with listening(settings, store=store, connection_limit=8) as server, ExitStack() as opened:
            streams = [opened.enter_context(connected(server.address)) for _ in range(8)]
            for stream in streams:
                stream.sendall(request("GET", "/v1/events"))
                assert status_of(stream) == 200
            assert is_closed(opened.enter_context(connected(server.address)))
            streams[0].close()
            wait_until(lambda: is_up(server.address), what="room for a connection")

    @pytest.mark.parametrize(("proxies", "open_after"), [((), 4), (("127.0.0.1",), 6)])
    def test_one_address_has_fewer_unless_it_is_a_trusted_proxy(
        self, settings: Settings, store: Store, proxies: tuple[str, ...], open_after: int
    ):
        changes: dict[str, Any] = {"connection_limit_per_address": 4, "trusted_proxies": proxies}
        with listening(settings, store=store, **changes) as server, ExitStack() as opened:
            for _ in range(6):
                opened.enter_context(connected(server.address, b"GET /v1/jo"))
            wait_until(
                lambda: len(server.server_state.connections) == open_after, what="the connections within the limit"
            )


def is_up(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/healthz").status_code == 200
    except httpx2.HTTPError:
        return False


def test_the_bodies_of_one_caller_that_are_under_way_are_limited_together(settings: Settings, store: Store):
    part = b" " * 1000
    half = request("POST", "/v1/schedules/preview", headers={"Content-Length": "1024"}) + part
    with listening(settings, store=store, body_limit=1024) as server, ExitStack() as opened:
        for _ in range(8):
            opened.enter_context(connected(server.address, half))

        def response() -> httpx2.Response:
            return httpx2.post(f"{server.address}/v1/schedules/preview", json={"name": "x" * 500})

        wait_until(lambda: response().status_code == 429, what="the eight bodies to arrive")
        assert response().json()["rate"] == "8192 bytes of request bodies at a time"
    with listening(settings, store=store, body_limit=1024) as server:
        answers = [httpx2.post(f"{server.address}/v1/schedules/preview", json={"name": "x" * 500}) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {422}  # the bodies of ended requests do not count
