"""The small web server behind the rating page: on this machine only, an answer at a time, nothing but its own pages.

Requests name pictures by number, never by path. Another page in the same browser can neither read (the ``Host`` must be
ours, against rebinding of names) nor rate (a token stands in every form, and the ``Origin`` must be ours). Connections
have a thread each, since browsers open some in advance and say nothing on them.
"""

from __future__ import annotations

import hmac
import secrets
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from socket import socket
from socketserver import BaseServer
from urllib.parse import parse_qs

from twinset import documents
from twinset.errors import TwinsetError
from twinset.pipeline.rating.page import Position, image_page, refused_page, summary_page
from twinset.pipeline.rating.pictures import drawn
from twinset.pipeline.rating.records import BEST, WORST, Ratings

HTTP_PORT = 80
ADDRESS = "127.0.0.1"
LONGEST_BODY = 1 << 16
SECONDS = 20.0
"""A connection that says nothing for so long is closed."""

POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, eq=False)
class Reply:
    """What goes back: a page, a picture, or where to go on."""

    status: HTTPStatus
    body: bytes = b""
    kind: str = "text/html; charset=utf-8"
    location: str = ""


@dataclass(frozen=True, eq=False)
class Site:
    """All pages: the inference, a file for each of its images (None: not found), and the ratings."""

    inference: documents.InferenceDocument
    paths: Sequence[Path | None]
    ratings: Ratings
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def get(self, path: str) -> Reply:
        """A page or a picture."""
        plain = path.partition("?")[0]
        if plain == "/":
            return Reply(HTTPStatus.SEE_OTHER, location=self._next())
        if plain == "/summary":
            summary = self.ratings.summary(self.inference.measures)
            return _page(summary_page(self._position(0), summary, self.inference.sentences))
        if plain == "/page.css":
            css = files("twinset.pipeline.rating").joinpath("page.css").read_bytes()
            return Reply(HTTPStatus.OK, css, "text/css; charset=utf-8")
        if plain == "/favicon.ico":
            return Reply(HTTPStatus.NO_CONTENT)
        kind, number = self._numbered(plain)
        if kind == "image" and number is not None:
            return self._image(number)
        if kind == "picture" and number is not None:
            return self._picture(number)
        return refused(HTTPStatus.NOT_FOUND, "There is no such page.")

    def post(self, path: str, body: bytes) -> Reply:
        """Keeps the ratings of a form; the token must be ours."""
        kind, number = self._numbered(path)
        if kind != "rate" or number is None:
            return refused(HTTPStatus.NOT_FOUND, "There is no such page.")
        try:
            form = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=1000, errors="strict")
        except ValueError:
            return refused(HTTPStatus.BAD_REQUEST, "The form could not be read.")
        if not hmac.compare_digest(form.get("token", [""])[-1].encode(), self.token.encode()):
            return refused(HTTPStatus.FORBIDDEN, "This form is of an earlier session: load the page again.")
        given: dict[str, int] = {}
        for name in self.inference.measures:
            text = form.get(f"rating:{name}", [""])[-1]
            if text and (len(text) > 1 or text not in "".join(map(str, range(WORST, BEST + 1)))):
                return refused(HTTPStatus.BAD_REQUEST, f"Expected ratings {WORST} to {BEST}.")
            if text:
                given[name] = int(text)
        try:
            self.ratings.rate(self.inference.images[number].id, given)
        except TwinsetError as error:
            return refused(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        return Reply(HTTPStatus.SEE_OTHER, location=self._next(number + 1, but=number))

    def _numbered(self, path: str) -> tuple[str, int | None]:
        kind, _, text = path.removeprefix("/").partition("/")
        known = text.isascii() and text.isdigit() and len(text) < 9 and int(text) < len(self.inference.images)
        return kind, int(text) if known else None

    def _next(self, start: int = 0, *, but: int | None = None) -> str:
        """The first unrated image from here on, else from the beginning, else the summary; ``but``: not this one."""
        count = len(self.inference.images)
        for number in (*range(start, count), *range(min(start, count))):
            if (
                number != but
                and self.paths[number] is not None
                and not self.ratings.of(self.inference.images[number].id)
            ):
                return f"/image/{number}"
        return "/summary"

    def _position(self, number: int) -> Position:
        return Position(number, len(self.inference.images), len(self.ratings))

    def _image(self, number: int) -> Reply:
        image = self.inference.images[number]
        return _page(
            image_page(
                image,
                self._position(number),
                measures=self.inference.measures,
                affected=self.inference.affected,
                given=self.ratings.of(image.id),
                token=self.token,
                note="There is no file of this image in the folder." if self.paths[number] is None else "",
            )
        )

    def _picture(self, number: int) -> Reply:
        path = self.paths[number]
        if path is None:
            return refused(HTTPStatus.NOT_FOUND, "There is no file of this image.")
        try:
            return Reply(HTTPStatus.OK, drawn(path, self.inference.images[number]), "image/png")
        except (TwinsetError, OSError) as error:
            return refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))


def refused(status: HTTPStatus, message: str) -> Reply:
    """A page that says what cannot be done."""
    return Reply(status, refused_page(message).encode())


def _page(text: str) -> Reply:
    return Reply(HTTPStatus.OK, text.encode())


def server_of(site: Site, port: int) -> HTTPServer:
    """The server, bound and not yet serving; port 0 takes any free one. ``OSError`` where the port is taken."""

    class Handler(_Handler):
        pages = site
        turn = threading.Lock()

    return _Server((ADDRESS, port), Handler)


def port_of(server: BaseServer) -> int:
    """The port that a server is bound to."""
    assert isinstance(server, HTTPServer)
    return server.server_port


def hosts_of(port: int) -> tuple[str, ...]:
    """What a browser calls the page's host; the port of plain HTTP it leaves out (RFC 9110, section 4.2.3).

    >>> hosts_of(8000)
    ('127.0.0.1:8000', 'localhost:8000')
    """
    names = ADDRESS, "localhost"
    return (*(f"{name}:{port}" for name in names), *(names if port == HTTP_PORT else ()))


class _Server(ThreadingHTTPServer):
    """Threads end with the process: an answer is on the disk whole, or as it was."""

    daemon_threads = True

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        """Tells what went wrong, but for a browser that went away, which is nobody's error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Reads a request, checks where it comes from, and writes the site's reply; ``turn``: one is made at a time."""

    pages: Site
    turn: threading.Lock
    server_version = "twinset"
    sys_version = ""
    timeout = SECONDS

    def do_GET(self) -> None:
        """Pages and pictures."""
        if not self._from_here():
            self._send(_foreign())
            return
        with self.turn:
            reply = self.pages.get(self.path)
        self._send(reply)

    def do_POST(self) -> None:
        """Ratings."""
        length = self.headers.get("Content-Length", "")
        origin = self.headers.get("Origin")
        ours = origin is None or origin in [f"http://{host}" for host in self._hosts()]
        if not (self._from_here() and ours):
            self._send(_foreign())
        elif not (length.isascii() and length.isdigit() and len(length) < 9 and int(length) <= LONGEST_BODY):
            self._send(refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The form is too long."))
        else:
            self._rated(int(length))

    def _rated(self, length: int) -> None:
        """A form that broke off is not taken for one with fewer answers."""
        body = self.rfile.read(length)
        if len(body) < length:
            self._send(refused(HTTPStatus.BAD_REQUEST, "The form did not come whole: send it again."))
            return
        with self.turn:
            reply = self.pages.post(self.path, body)
        self._send(reply)

    def _hosts(self) -> tuple[str, ...]:
        return hosts_of(port_of(self.server))

    def _from_here(self) -> bool:
        return self.headers.get("Host", "") in self._hosts()

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        headers = {
            "Content-Type": reply.kind,
            "Content-Length": str(len(reply.body)),
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Cache-Control": "no-store",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        if reply.location:
            headers["Location"] = reply.location
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the terminal is for the address and the end."""


def _foreign() -> Reply:
    return refused(HTTPStatus.FORBIDDEN, "This page is for its own machine only.")
