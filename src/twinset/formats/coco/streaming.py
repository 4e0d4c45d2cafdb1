"""A JSON object read piece by piece: small values whole, the arrays that grow with a dataset in slices.

JSON is read from the left without looking ahead, so a slice of an array that parses when it is put in brackets is
exactly those elements. Where to cut is therefore guessed, at ``},{``, and the parser proves the guess; only where it
fails are brackets counted.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

PIECE = 1 << 20
LONGEST_VALUE = 1 << 29
"""Bytes of one value that is held whole: an annotation, or what is not one of the long arrays."""

_SPACE = re.compile(rb"[ \t\r\n]*")
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["\[\]{}]', re.DOTALL)
_SCALAR = re.compile(rb"[^,\]}\s]*")
_BETWEEN = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*\{")
_LAST = re.compile(rb"\}[ \t\r\n]*\]")
_BYTE = re.compile(r"\s*\(byte (\d+)\)")
_BOM = b"\xef\xbb\xbf"

T = TypeVar("T")


class Malformed(Exception):
    """What is wrong with a JSON text, *expected X; got Y*, and at which byte."""

    def __init__(self, problem: str, at: int) -> None:
        super().__init__(problem)
        self.at = at


@contextmanager
def collection_paused() -> Iterator[None]:
    """Without the cyclic collector, which takes half the time while millions of records without cycles come and go."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass
class Document:
    """A JSON file on its way through memory; ``buffer`` begins at byte ``base``, and is used up to ``start``."""

    handle: BinaryIO
    buffer: bytes = b""
    start: int = 0
    base: int = 0
    ended: bool = False

    @property
    def at(self) -> int:
        """The next byte's place in the file."""
        return self.base + self.start

    def members(self) -> Iterator[str]:
        """The keys of the object, in order. The value of each must be taken, by one of the others, before the next."""
        if self._more() and self.buffer.startswith(_BOM):
            self.start = len(_BOM)
        first = self.peek()
        if first != b"{":
            raise Malformed(f"expected a JSON object; got {_shown(first)}", self.at)
        self._take()
        done = self.peek() == b"}"
        if done:
            self._take()
        while not done:
            yield self._key()
            if self.peek() not in (b",", b"}"):
                raise Malformed(f"expected , or }}; got {_shown(self.peek())}", self.at)
            done = self._take() == b"}"

    def finish(self) -> None:
        """:class:`Malformed` if anything follows the object."""
        if self.peek():
            raise Malformed(f"expected the end of the file; got {_shown(self.peek())}", self.at)

    def _key(self) -> str:
        if self.peek() != b'"':
            raise Malformed(f"expected a key; got {_shown(self.peek())}", self.at)
        at = self.at
        try:
            key = str(json.loads(self.value()))
        except ValueError as error:
            raise Malformed(f"expected a key in UTF-8; got {error}", at) from error
        if self.peek() != b":":
            raise Malformed(f"expected :; got {_shown(self.peek())}", self.at)
        self._take()
        return key

    def peek(self) -> bytes:
        """The next byte that is no space; empty at the end."""
        while True:
            found = _SPACE.match(self.buffer, self.start)
            self.start = found.end() if found else self.start
            if self.start < len(self.buffer) or not self._more():
                return self.buffer[self.start : self.start + 1]

    def value(self) -> bytes:
        """The text of one whole value; that it is sound inside is for a parser to say."""
        if self.peek() not in (b'"', b"[", b"{"):
            while (found := _SCALAR.match(self.buffer, self.start)) and found.end() == len(self.buffer):
                if not self._more():
                    break
            return self._cut(found.end() - self.start if found else 0)
        return self._cut(self._end_of_value())

    def elements(self, decode: Callable[[bytes], T]) -> Iterator[T]:
        """What ``decode`` makes of an array, some elements at a time. It gets an array and raises ``ValueError`` or
        ``RecursionError`` where that is not JSON to its end.
        """
        if self.peek() != b"[":
            raise Malformed(f"expected an array; got {_shown(self.peek())}", self.at)
        self._take()
        done = self.peek() == b"]"
        if done:
            self._take()
        while not done:
            while len(self.buffer) - self.start < PIECE and self._more():
                pass
            yield self._slice(decode)
            if self.peek() not in (b",", b"]"):
                raise Malformed(f"expected , or ]; got {_shown(self.peek())}", self.at)
            done = self._take() == b"]"
            if not done and self.peek() == b"]":
                raise Malformed("expected another element after the comma; got ]", self.at)

    def _slice(self, decode: Callable[[bytes], T]) -> T:
        for length in self._guesses():
            try:
                made = decode(b"[%b]" % self.buffer[self.start : self.start + length])
            except (ValueError, RecursionError):
                continue
            self.start += length
            return made
        length = self._end_of_elements()
        try:
            made = decode(b"[%b]" % self.buffer[self.start : self.start + length])
        except RecursionError as error:
            raise Malformed("expected JSON; got nesting without end", self.at) from error
        except ValueError as error:
            problem, place = json_problem(error, self.buffer[self.start : self.start + length])
            raise Malformed(problem, self.at + min(max(0, place - 1), length)) from error
        self.start += length
        return made

    def _guesses(self) -> Iterator[int]:
        """Lengths of a slice that may end between two elements, or at the end of the array."""
        at = len(self.buffer)
        while (at := self.buffer.rfind(b"}", self.start, at)) >= 0:
            if _BETWEEN.match(self.buffer, at):
                yield at + 1 - self.start
                break
        found = _LAST.search(self.buffer, self.start)
        if found:
            yield found.start() + 1 - self.start

    def _end_of_elements(self) -> int:
        """The length of as many whole elements as the buffer holds, at least one, by counting brackets."""
        depth, at, whole = 0, 0, 0
        while True:
            for token in _TOKEN.finditer(self.buffer, self.start + at):
                byte = token.group()
                if byte == b'"':
                    break
                if byte in (b"]", b"}"):
                    depth -= 1
                    if depth < 0:
                        return token.start() - self.start
                    whole = token.end() - self.start if depth == 0 else whole
                elif byte in (b"[", b"{"):
                    depth += 1
                at = token.end() - self.start
            if whole or not self._more():
                return whole or len(self.buffer) - self.start

    def _end_of_value(self) -> int:
        depth, at = 0, 0
        while True:
            for token in _TOKEN.finditer(self.buffer, self.start + at):
                byte = token.group()
                if byte == b'"':
                    break
                at = token.end() - self.start
                depth += (byte in (b"[", b"{")) - (byte in (b"]", b"}"))
                if depth <= 0:
                    return at
            if not self._more():
                raise Malformed("expected the rest of a value; got the end of the file", self.base + len(self.buffer))

    def _more(self) -> bool:
        """One more piece into the buffer, what was used out of it; False at the end of the file."""
        left = len(self.buffer) - self.start
        if left > LONGEST_VALUE:
            raise Malformed(f"expected values of at most {LONGEST_VALUE >> 20} MiB; got a longer one", self.at)
        piece = b"" if self.ended else self.handle.read(max(PIECE, left))
        self.ended = not piece
        if piece:
            self.base, self.buffer, self.start = self.at, self.buffer[self.start :] + piece, 0
        return bool(piece)

    def _cut(self, length: int) -> bytes:
        taken = self.buffer[self.start : self.start + length]
        self.start += length
        return taken

    def _take(self) -> bytes:
        return self._cut(1)


def json_problem(error: ValueError, text: bytes) -> tuple[str, int]:
    """*expected JSON; got …*, and at which byte of the text, of what a parser said."""
    said = str(error)
    found = _BYTE.search(said)
    if isinstance(error, UnicodeDecodeError):
        return "expected UTF-8; got other bytes", 0
    if found is None:
        return f"expected JSON; got a malformed text ({_said(said)})", len(text) if "truncated" in said else 0
    at = int(found.group(1))
    for name in (b"NaN", b"Infinity", b"-Infinity"):
        if text[max(0, at - 1) :].startswith(name):
            return f"expected a number; got {name.decode()}, which JSON has not", at
    return f"expected JSON; got a malformed text ({_said(_BYTE.sub('', said))})", at


def _said(message: str) -> str:
    return message.removeprefix("JSON is malformed: ")[:200]


def _shown(byte: bytes) -> str:
    return repr(byte.decode("latin-1")) if byte else "the end of the file"
