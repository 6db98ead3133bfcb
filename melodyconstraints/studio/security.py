"""Checks that every request must pass before it is answered.

A page on the web can make a browser send requests to this machine. So the ``Host`` must be ours
(no name of a stranger's that points here), an ``Origin`` must be ours (no page of a stranger's may
write), and bodies are short. A studio that other machines can reach wants a token as well.
"""

from __future__ import annotations

import hmac
import json
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from melodyconstraints.melody.midi.files import MAX_BYTES
from melodyconstraints.studio.places import LOOPBACK, Settings

MOST_BYTES = MAX_BYTES
"""Largest body, in bytes: as much as the library reads of a MIDI file."""
_MOST_READ = 4 * MOST_BYTES
"""Bytes read of a body that is too long: a client that still sends would not get the reason."""
TOKEN = "token"  # noqa: S105 (the name of a parameter)
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; media-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Guard:
    """Refuses requests of strangers, and adds the headers of :data:`HEADERS` to every answer."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._token = app, settings.token
        names = (f"[{name}]" if ":" in name else name for name in LOOPBACK)
        self._hosts = {f"{name}:{settings.port}" for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *own]
            await send(message)

        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        refusal = self._refusal(headers)
        if refusal is None and self._token and not _brings(self._token, headers):
            query = parse_qs(scope["query_string"].decode("latin-1"))
            if scope["path"] == "/" and _same(self._token, query.get(TOKEN, [""])[0]):
                await _let_in(self._token, send_guarded)
                return
            refusal = 401, "this studio wants its token: open the address that it printed"
        if refusal is None:
            body = await _body(headers, receive)
            if body is None:
                refusal = 413, f"a body has at most {MOST_BYTES // 2**20} MB"
        if refusal is not None:
            await _refuse(*refusal, send_guarded)
            return
        await self._app(scope, _again(body or b"", receive), send_guarded)

    def _refusal(self, headers: dict[str, str]) -> tuple[int, str] | None:
        host, origin = headers.get("host", "").lower(), headers.get("origin")
        if not self._token and host not in self._hosts:
            return 421, "this studio answers at its own address only"
        strange = origin is not None and origin.partition("://")[2].lower() != host
        if strange or headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return 403, "requests of other pages are refused"
        return None


def _brings(token: str, headers: dict[str, str]) -> bool:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(TOKEN)
    except CookieError:
        cookie = None
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    return _same(token, bearer) or (cookie is not None and _same(token, cookie.value))


def _same(token: str, other: str) -> bool:
    return hmac.compare_digest(token.encode(), other.encode("utf-8", "replace"))


async def _body(headers: dict[str, str], receive: Receive) -> bytes | None:
    """The whole body; None where it is too long."""
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:12]) > _MOST_READ:
        return None
    parts, size = [], 0
    while size <= _MOST_READ:
        message = await receive()
        size += len(message.get("body", b""))
        if size <= MOST_BYTES:
            parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts) if size <= MOST_BYTES else None
    return None


def _again(body: bytes, receive: Receive) -> Receive:
    """A body that was received, as the app receives it; then whatever comes."""
    waiting = [body]

    async def receive_again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return receive_again


async def _let_in(token: str, send: Send) -> None:
    """Set the cookie, and lead to the page without the token in its address."""
    cookie = f"{TOKEN}={token}; HttpOnly; SameSite=Strict; Path=/"
    headers = [(b"location", b"/"), (b"set-cookie", cookie.encode())]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(status: int, text: str, send: Send) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": text}).encode()})
