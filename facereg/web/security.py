"""Who may ask, and what every answer says about itself."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Most bytes of a request's body: no endpoint reads one.
MAX_BODY_BYTES = 4096

#: Seconds for which a browser is known after a visit with the token.
COOKIE_SECONDS = 30 * 24 * 3600

#: What those read who do not know the token.
UNKNOWN = "open the address with ?token=… that facereg printed when it started"

#: The page and its parts come from this server, and so does everything that they load.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach a host.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """Make a token that nobody guesses."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        token: what those who ask must know; None lets everybody in.
        port: of the server; browsers share cookies between ports.
        hosts: names under which the server may be asked if there is no token; empty: any. A page
            of a stranger cannot ask then although its name is made to lead here.
    """

    token: str | None
    port: int
    hosts: frozenset[str] = frozenset()

    @property
    def cookie_name(self) -> str:
        """The name of the cookie."""
        return f"facereg-{self.port}"

    @property
    def cookie(self) -> str:
        """The value of the cookie, from which nobody can tell the token."""
        return hmac.new((self.token or "").encode(), b"facereg cookie", hashlib.sha256).hexdigest()

    def knows_token(self, given: str) -> bool:
        """Whether a text is the token, compared in constant time."""
        return hmac.compare_digest(given.encode(), (self.token or "").encode())

    def admits(self, headers: dict[str, str]) -> bool:
        """Whether a request with these headers, in lower case, may be answered."""
        if self.token is None:
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.knows_token(given.strip()):
            return True
        cookies = (c.strip().partition("=") for c in headers.get("cookie", "").split(";"))
        found = [value for name, _, value in cookies if name == self.cookie_name]
        return any(hmac.compare_digest(v.encode(), self.cookie.encode()) for v in found)


class Guard:
    """Stands before the application: every request passes it, and every answer.

    Args:
        app: what answers.
        access: who may ask.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        refusal = self._refusal(headers)
        if scope["type"] == "websocket":
            if refusal is None and self._access.admits(headers):
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        send = _with_headers(send, HEADERS)
        token_is_right = self._token_is_right(scope)
        if refusal is not None:
            await _answer(send, *refusal)
        elif token_is_right and _is_visit(headers):
            await _answer(send, 303, "", self._cookie_instead(scope))
        elif token_is_right or self._access.admits(headers):
            await self._app(scope, receive, send)
        else:
            await _answer(send, 401, UNKNOWN, [("www-authenticate", "Bearer")])

    def _refusal(self, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return the status and the reason for which a request is refused, or None."""
        if self._access.hosts and _host(headers.get("host", "")) not in self._access.hosts:
            return 421, "this server is not reached by that name"
        if not _same_origin(headers):
            return 403, "no other site may ask"
        if _body_bytes(headers) > MAX_BODY_BYTES:
            return 413, "nothing here takes a body"
        return None

    def _token_is_right(self, scope: Scope) -> bool:
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        return self._access.token is not None and self._access.knows_token(query.get("token", ""))

    def _cookie_instead(self, scope: Scope) -> list[tuple[str, str]]:
        """Return the headers that turn the token in the address into a cookie."""
        query = parse_qsl(scope["query_string"].decode("latin-1"))
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        path = "/" + scope["path"].lstrip("/")  # with two slashes it would lead to another server
        cookie = f"{self._access.cookie_name}={self._access.cookie}; Path=/; HttpOnly; "
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        return [
            ("location", f"{path}?{rest}" if rest else path),
            ("set-cookie", f"{cookie}SameSite=Lax; Max-Age={COOKIE_SECONDS}{secure}"),
        ]


def _is_visit(headers: dict[str, str]) -> bool:
    """Whether somebody opens an address in a browser."""
    return headers.get("sec-fetch-mode") == "navigate" or "text/html" in headers.get("accept", "")


def _same_origin(headers: dict[str, str]) -> bool:
    """Whether a request comes from a page of this server, or from no page."""
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
        return False
    site = headers.get("sec-fetch-site", "none")
    return site in ("none", "same-origin") or headers.get("sec-fetch-mode") == "navigate"


def _host(header: str) -> str:
    """Return the name in a Host header, without the port."""
    if header.startswith("["):
        return header.partition("]")[0].strip("[").lower()
    return header.rpartition(":")[0].lower() if ":" in header else header.lower()


def _body_bytes(headers: dict[str, str]) -> float:
    if "transfer-encoding" in headers:
        return float("inf")
    length = headers.get("content-length", "0")
    return int(length) if length.isdigit() else float("inf")


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    added = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = message.get("headers", [])
            names = {name.lower() for name, _ in given}
            message["headers"] = [*given, *(h for h in added if h[0] not in names)]
        await send(message)

    return sending


async def _answer(
    send: Send, status: int, text: str, headers: Sequence[tuple[str, str]] = ()
) -> None:
    body = f"{text}\n".encode() if text else b""
    plain = [("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(body)))]
    encoded = [(name.encode(), value.encode()) for name, value in (*plain, *headers)]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
