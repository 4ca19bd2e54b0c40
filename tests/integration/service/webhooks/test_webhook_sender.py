"""The sender, against receivers that really listen."""

from __future__ import annotations

import itertools
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.service.receiver import Receiver, receiving
from tuner_service.webhooks.sender import WebhookSender

PUBLIC = "93.184.215.14"
BODY = b'{"a":1}'
SECRET = b"a secret of the service, 32 bytes"


def sender(*addresses: str, allow_private: bool = True, **changes: object) -> WebhookSender:
    """One for which every name has these addresses."""
    if addresses:
        changes["resolve"] = lambda host, port: addresses
    return WebhookSender(secret=SECRET, allow_private=allow_private, **changes)  # type: ignore[arg-type]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def test_the_receiver_gets_the_body_and_the_headers(receiver: Receiver):
    answer = sender().post(receiver.url + "?channel=1", body=BODY, headers={"webhook-id": "7"})
    assert (answer.status, answer.error) == (204, None)
    (got,) = receiver.got
    assert got.path == "/hook?channel=1"
    assert got.body == BODY
    assert got.headers["webhook-id"] == "7"
    assert got.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert got.headers["User-Agent"].startswith("schedule-tuner/")


@pytest.mark.parametrize("status", [200, 201, 299])
def test_every_2xx_is_delivered(receiver: Receiver, status: int):
    receiver.answer = lambda _: status
    assert sender().post(receiver.url, body=BODY, headers={}).error is None


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_every_other_status_is_an_error(receiver: Receiver, status: int):
    receiver.answer = lambda _: status
    answer = sender().post(receiver.url, body=BODY, headers={})
    assert (answer.status, answer.error) == (status, f"the receiver answered {status}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver: Receiver, status: int):
    with receiving() as elsewhere:
        receiver.answer = lambda _: status
        receiver.headers["Location"] = elsewhere.url
        answer = sender().post(receiver.url, body=BODY, headers={})
    assert answer.status == status
    assert answer.error is not None
    assert "redirects are not followed" in answer.error
    assert not elsewhere.got


def test_the_connection_goes_to_the_address_that_was_checked_with_the_name_in_host(receiver: Receiver):
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return ("127.0.0.1",)

    url = f"http://hooks.example.test:{receiver.port}/hook"
    assert (
        WebhookSender(secret=SECRET, allow_private=True, resolve=resolve).post(url, body=BODY, headers={}).error is None
    )
    assert asked == [("hooks.example.test", receiver.port)], "a second look-up could give another address"
    assert receiver.got[0].headers["Host"] == f"hooks.example.test:{receiver.port}"


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "224.0.1.1", "::1", "fe80::1", "fd00::1", "ff02::1",
     "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"],
)  # fmt: skip
def test_a_name_that_leads_to_a_closed_address_is_refused(receiver: Receiver, address: str):
    url = f"http://hooks.example.test:{receiver.port}/hook"
    answer = sender(address, allow_private=False).post(url, body=BODY, headers={})
    assert answer.status is None
    assert answer.error is not None
    assert f"hooks.example.test has the address {address}" in answer.error
    assert "TUNER_WEBHOOKS_ALLOW_PRIVATE" in answer.error
    assert not receiver.got


@pytest.mark.parametrize(
    "addresses", [*itertools.permutations([PUBLIC, "127.0.0.1"]), (PUBLIC, "2606:4700::1111", "fd00::1")]
)
def test_a_name_that_leads_to_open_and_closed_addresses_is_refused_before_anything_is_sent(
    receiver: Receiver, addresses: tuple[str, ...]
):
    url = f"http://hooks.example.test:{receiver.port}/hook"
    answer = sender(*addresses, allow_private=False).post(url, body=BODY, headers={})
    assert answer.error is not None
    assert "not on the public internet" in answer.error
    assert not receiver.got


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "[::1]", "[::]"])
def test_no_spelling_of_loopback_gets_through(receiver: Receiver, host: str):
    answer = sender(allow_private=False).post(f"http://{host}:{receiver.port}/hook", body=BODY, headers={})
    assert answer.status is None
    assert answer.error is not None
    assert not receiver.got


def test_if_the_first_address_does_not_respond_the_next_is_tried(receiver: Receiver):
    url = f"http://hooks.example.test:{receiver.port}/hook"
    assert sender("127.0.0.2", "127.0.0.1").post(url, body=BODY, headers={}).error is None


def test_a_name_without_an_address_is_an_error():
    def resolve(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    answer = WebhookSender(secret=SECRET, allow_private=False, resolve=resolve).post(
        "http://nowhere.test/", body=BODY, headers={}
    )
    assert answer.error == f"gaierror: [Errno {socket.EAI_NONAME}] Name or service not known"


def test_a_closed_port_is_an_error():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        answer = sender().post(f"http://127.0.0.1:{free.getsockname()[1]}/", body=BODY, headers={})
    assert answer.error is not None
    assert "ConnectionRefusedError" in answer.error


@contextmanager
def speaking(*said: bytes, slowly: bool = False) -> Iterator[int]:
    """A server that says the same to everybody, or goes on saying it byte by byte without an end."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                try:
                    for part in said:
                        connection.sendall(part)
                    while slowly and not done.wait(0.02):
                        connection.sendall(b"x")
                    if not said:
                        done.wait()
                except OSError:
                    pass  # the sender has had enough

        thread = threading.Thread(target=serve, name="speaker")
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_silent_receiver_times_out(scheme: str):
    with speaking() as port:
        answer = sender(timeout_seconds=0.2).post(f"{scheme}://127.0.0.1:{port}/", body=BODY, headers={})
    assert answer.error == "no response within 0.2 seconds"


def test_a_receiver_that_responds_byte_by_byte_times_out():
    with speaking(b"HTTP/1.1 200 OK\r\nX-Endless: ", slowly=True) as port:
        answer = sender(timeout_seconds=0.3).post(f"http://127.0.0.1:{port}/", body=BODY, headers={})
    assert answer.error == "no response within 0.3 seconds"


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 999999 OK\r\n\r\n", b"\xff\x00\xff\r\n\r\n"])
def test_a_response_that_is_not_http_is_returned_and_not_raised(said: bytes):
    with speaking(said) as port:
        answer = sender().post(f"http://127.0.0.1:{port}/", body=BODY, headers={})
    assert answer.status is None
    assert answer.error


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for hooks.example.test, with its key."""
    folder = tmp_path_factory.mktemp("tls")
    files = {name: folder / f"{name}.pem" for name in ("key", "certificate", "both")}
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=hooks.example.test"
    names = ["-addext", "subjectAltName=DNS:hooks.example.test"]
    out = ["-keyout", str(files["key"]), "-out", str(files["certificate"])]
    subprocess.run([*command.split(), *names, *out], check=True, capture_output=True)
    files["both"].write_text(files["key"].read_text() + files["certificate"].read_text())
    return files["both"]


@pytest.fixture
def tls_receiver(certificate: Path) -> Iterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with receiving(tls=context) as receiver:
        yield receiver


def test_over_tls_the_certificate_of_the_name_is_checked_though_the_address_is_called(
    tls_receiver: Receiver, certificate: Path
):
    trusting = ssl.create_default_context(cafile=certificate)
    url = f"https://hooks.example.test:{tls_receiver.port}/hook"
    answer = sender("127.0.0.1", tls=trusting).post(url, body=BODY, headers={})
    assert answer.error is None
    assert tls_receiver.tls_names == ["hooks.example.test"]
    assert tls_receiver.got[0].headers["Host"] == f"hooks.example.test:{tls_receiver.port}"


@pytest.mark.parametrize("name", ["other.example.test", "hooks.example.test"])
def test_a_certificate_of_another_name_or_an_unknown_authority_is_refused(
    tls_receiver: Receiver, certificate: Path, name: str
):
    trusting = ssl.create_default_context(cafile=certificate if name.startswith("other") else None)
    url = f"https://{name}:{tls_receiver.port}/hook"
    answer = sender("127.0.0.1", tls=trusting).post(url, body=BODY, headers={})
    assert answer.error is not None
    assert "SSLCertVerificationError" in answer.error
    assert not tls_receiver.got
