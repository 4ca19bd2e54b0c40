"""The attacks: each runs for some seconds against a service on loopback, and returns the responses by status."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final

import httpx2

from tuner.people.tokens import new_token
from tuner.schedules.lengths import MAX_STEPS

UNREAD_EXPORTS: Final = 60
HALF_HEADERS: Final = 600
HALF_BODIES: Final = 200
EVENT_STREAMS: Final = 120
SMALL_CHUNK_CLIENTS: Final = 4
BAD_TOKEN_CLIENTS: Final = 20
HAMMER_CLIENTS: Final = 30
_SCHEDULE: Final = {"peak_lr": 0.1, "family": {"name": "cosine"}, "warmup": {"shape": "linear", "fraction": 0.05}}
_REOPEN_SECONDS: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Target:
    """The service, and what the attacker knows of it."""

    url: str
    secret: str
    """A viewer's token."""
    job_id: str

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)


def request(target: Target, method: str, path: str, *, body: bytes = b"", length: int | None = None) -> bytes:
    """A request of the viewer as bytes, with another Content-Length than the body's where ``length`` says so."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {target.secret}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body


async def unread_exports(target: Target, end: float) -> Counter[str]:
    """Requests the longest exports, and reads no more than the first bytes of the responses."""
    body = json.dumps({"schedule": _SCHEDULE, "total_steps": MAX_STEPS, "format": "csv"}).encode()
    return await _held(
        target, end, count=UNREAD_EXPORTS, sent=request(target, "POST", "/v1/schedules/export", body=body)
    )


async def half_headers(target: Target, end: float) -> Counter[str]:
    """Begins requests and does not complete their headers."""
    return await _held(target, end, count=HALF_HEADERS, sent=b"GET /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")


async def half_bodies(target: Target, end: float) -> Counter[str]:
    """Sends 900 KB of bodies of 1 MB."""
    sent = request(target, "POST", "/v1/schedules/preview", body=b" " * 900_000, length=1_000_000)
    return await _held(target, end, count=HALF_BODIES, sent=sent)


async def event_streams(target: Target, end: float) -> Counter[str]:
    """Opens event streams of a job, more than one user may have."""
    sent = request(target, "GET", f"/v1/jobs/{target.job_id}/events")
    return await _held(target, end, count=EVENT_STREAMS, sent=sent)


async def small_chunks(target: Target, end: float) -> Counter[str]:
    """Sends bodies in chunks of one byte, without a login."""
    head = b"POST /v1/schedules/preview HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    return await _held(target, end, count=SMALL_CHUNK_CLIENTS, sent=head + b"1\r\n \r\n" * 100_000)


async def bad_tokens(target: Target, end: float) -> Counter[str]:
    """Sends one unknown token after the other."""

    async def send(client: httpx2.AsyncClient) -> int:
        return (await client.get("/v1/jobs", headers={"Authorization": f"Bearer {new_token()}"})).status_code

    return await _hammered(target, end, clients=BAD_TOKEN_CLIENTS, sends=[send])


async def hammer(target: Target, end: float) -> Counter[str]:
    """Sends a viewer's most expensive requests without a pause, and reads the responses."""
    job = f"/v1/jobs/{target.job_id}"
    many = {f"unknown{number}": 0 for number in range(50_000)}
    deep = "[" * 400_000 + "]" * 400_000
    posts: Mapping[str, Any] = {"schedule": _SCHEDULE, "total_steps": 1_000_000}
    cases: tuple[tuple[str, str, Any], ...] = (
        ("POST", "/v1/schedules/export", posts | {"format": "csv"}),
        ("POST", "/v1/schedules/export", posts | {"format": "megatron"}),
        ("POST", "/v1/schedules/preview", posts | {"points": 2000}),
        ("POST", "/v1/schedules/preview", many),
        ("POST", "/v1/schedules/preview", deep),
        ("POST", "/v1/jobs/preview", {"workload": "no-op"}),
        ("POST", "/v1/tokens", {}),
        ("GET", f"{job}/export?format=csv&trial=0&total_steps=1000000", None),
        *(("GET", f"{job}{page}", None) for page in ("", "/trials?limit=500", "/runs?limit=500", "/standing")),
        ("GET", "/v1/queue", None),
        ("GET", "/v1/jobs?limit=200&text=a", None),
        ("GET", "/v1/tokens", None),
        ("GET", "/api/studies", None),
        ("GET", "/openapi.json", None),
    )

    def case(method: str, path: str, body: Any) -> Callable[[httpx2.AsyncClient], Awaitable[int]]:
        content = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        headers = {"Authorization": f"Bearer {target.secret}", "Content-Type": "application/json"}

        async def send(client: httpx2.AsyncClient) -> int:
            async with client.stream(method, path, content=content, headers=headers) as response:
                async for _ in response.aiter_bytes():
                    pass
                return response.status_code

        return send

    return await _hammered(target, end, clients=HAMMER_CLIENTS, sends=[case(*each) for each in cases])


ATTACKS: Final[Mapping[str, Callable[[Target, float], Awaitable[Counter[str]]]]] = {
    "unread-exports": unread_exports,
    "half-headers": half_headers,
    "half-bodies": half_bodies,
    "event-streams": event_streams,
    "small-chunks": small_chunks,
    "bad-tokens": bad_tokens,
    "hammer": hammer,
}


async def _held(target: Target, end: float, *, count: int, sent: bytes) -> Counter[str]:
    """Holds connections on which the same bytes were sent, and opens new ones for those that are closed."""
    seen: Counter[str] = Counter()
    await asyncio.gather(*(_hold(target, end, sent=sent, seen=seen) for _ in range(count)))
    return seen


async def _hold(target: Target, end: float, *, sent: bytes, seen: Counter[str]) -> None:
    while (left := end - time.monotonic()) > 0:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(left):
                await loop.sock_connect(client, target.address)
                await loop.sock_sendall(client, sent)
                first = await loop.sock_recv(client, 64)
                seen[first.split()[1].decode() if first else "closed"] += 1
                if first[9:12] == b"200":
                    await asyncio.sleep(left)
                elif first:
                    await asyncio.sleep(_REOPEN_SECONDS)
        except TimeoutError:
            seen["held to the end"] += 1
        except OSError:
            seen["closed"] += 1
            await asyncio.sleep(_REOPEN_SECONDS)
        finally:
            client.close()


async def _hammered(
    target: Target, end: float, *, clients: int, sends: list[Callable[[httpx2.AsyncClient], Awaitable[int]]]
) -> Counter[str]:
    """Sends requests on some connections without a pause."""
    seen: Counter[str] = Counter()
    limits = httpx2.Limits(max_connections=clients, max_keepalive_connections=clients)
    upcoming = cycle(sends)

    async def repeat(client: httpx2.AsyncClient) -> None:
        while time.monotonic() < end:
            try:
                async with asyncio.timeout(max(end - time.monotonic(), 0.0)):
                    seen[str(await next(upcoming)(client))] += 1
            except httpx2.HTTPError:
                seen["no response"] += 1
            except TimeoutError:
                seen["under way at the end"] += 1

    async with httpx2.AsyncClient(base_url=target.url, limits=limits, trust_env=False, timeout=60.0) as client:
        await asyncio.gather(*(repeat(client) for _ in range(clients)))
    return seen
