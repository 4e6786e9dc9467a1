"""Say why a stream did not open. OpenCV only says that it did not."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import ssl
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}


class Answer(NamedTuple):
    """What a server answers: status code, reason, header (lower-case names), start of the body."""

    code: int
    reason: str
    header: dict[str, str]
    body: str


def why_closed(url: str, timeout: float, waited: float) -> str:
    """Ask the server of an ``rtsp(s)://`` or ``http(s)://`` URL what is wrong, in a few words.

    Args:
        url: the URL that did not open, with its password.
        timeout: seconds to wait for each answer.
        waited: seconds that the attempt to open it took.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port or PORTS[parts.scheme.lower()]
    except ValueError:
        return "its port is not a number from 1 to 65535"
    if not host:
        return f"it names no host; write {parts.scheme}://HOST/PATH"
    try:
        answer = _ask(parts, host, port, timeout)
    except socket.gaierror:
        return f"there is no host {host}"
    except ConnectionRefusedError:
        return f"connection refused: nothing listens at port {port} of {host}"
    except TimeoutError:
        return f"{host} did not answer at port {port} within {timeout:g} s"
    except OSError as e:
        return f"{host}, port {port}: {e.strerror or e}"
    if answer is None:
        return f"what listens at port {port} of {host} is no {parts.scheme.upper()} server"
    if waited > 0.9 * timeout and answer.code == 200:
        return f"no picture came within {timeout:g} s"
    return _explain(parts, answer)


def _explain(parts: SplitResult, answer: Answer) -> str:
    if answer.code in (401, 403):
        if parts.username is None:
            return f"it wants a user and a password: {parts.scheme}://USER:PASSWORD@HOST/…"
        return f"the server refuses this user or password ({answer.code})"
    if answer.code == 404:
        return "the server has nothing of that name (404)"
    if answer.code >= 300:
        return f"the server answers: {answer.code} {answer.reason}"
    kind = answer.header.get("content-type", "")
    if kind == "application/sdp" and "m=video" not in answer.body:
        return "there is no video in it"
    if kind.startswith(("text/", "image/svg", "application/json")):
        return f"it is not a video ({kind.partition(';')[0]})"
    return "no video that can be read is in it"


def _ask(parts: SplitResult, host: str, port: int, timeout: float) -> Answer | None:
    """Describe (RTSP) or get (HTTP), a second time with the password where one is wanted."""
    with socket.create_connection((host, port), timeout) as plain:
        connection = plain
        if parts.scheme.lower() in ("rtsps", "https"):
            context = ssl.create_default_context()
            context.check_hostname = False  # as ffmpeg, which only says whether it worked
            context.verify_mode = ssl.CERT_NONE
            connection = context.wrap_socket(plain, server_hostname=host)
        answer = _exchange(connection, parts, host, port, "")
    challenge = answer.header.get("www-authenticate", "") if answer else ""
    if not challenge or parts.username is None or parts.scheme.lower() in ("rtsps", "https"):
        return answer
    with socket.create_connection((host, port), timeout) as connection:
        return _exchange(connection, parts, host, port, challenge)


def _exchange(
    connection: socket.socket, parts: SplitResult, host: str, port: int, challenge: str
) -> Answer | None:
    place = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    if parts.scheme.lower().startswith("rtsp"):
        method, target = "DESCRIBE", f"{parts.scheme}://{host}:{port}{place}"
        head = f"{method} {target} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n"
    else:
        method, target = "GET", place
        head = f"{method} {target} HTTP/1.0\r\nHost: {host}:{port}\r\n"
    if challenge:
        head += f"Authorization: {_authorization(parts, challenge, method, target)}\r\n"
    connection.sendall(f"{head}\r\n".encode())
    return _parse(connection)


def _parse(connection: socket.socket) -> Answer | None:
    data = b""
    while b"\r\n\r\n" not in data and len(data) < 65536:
        more = connection.recv(4096)
        if not more:
            break
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = re.match(r"(?:RTSP|HTTP)/\d\.\d (\d{3}) ?(.*)", lines[0])
    if not status:
        return None
    pairs = (line.partition(":")[::2] for line in lines[1:])
    header = {name.lower(): value.strip() for name, value in pairs}
    length = int(header["content-length"]) if header.get("content-length", "").isdigit() else 0
    while len(body) < min(length, 65536) and (more := connection.recv(4096)):
        body += more
    return Answer(int(status[1]), status[2], header, body.decode("latin-1"))


def _authorization(parts: SplitResult, challenge: str, method: str, target: str) -> str:
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not challenge.lower().startswith("digest"):
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm, nonce = asked.get("realm", ""), asked.get("nonce", "")
    secret = _md5(f"{user}:{realm}:{password}")
    response = _md5(f"{secret}:{nonce}:{_md5(f'{method}:{target}')}")
    return (
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{target}", '
        f'response="{response}"'
    )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
