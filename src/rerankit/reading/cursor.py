"""Bytes that are read from a place on, no further than they go."""

from __future__ import annotations

import struct
from typing import Any

from rerankit.reading.plain import ContentError

LONGEST_NAME = 1000


class Cursor:
    """A place in some bytes; what is read is behind it.

    >>> cursor = Cursor(memoryview(b"\\x02abc\\n"))
    >>> cursor.block("<B"), cursor.line()
    (b'ab', 'c')
    """

    def __init__(self, data: memoryview, start: int = 0) -> None:
        self.data, self.at = data, start

    def take(self, size: int) -> bytes:
        """The next bytes; a size that the file does not have is refused before anything is taken."""
        if not 0 <= size <= len(self.data) - self.at:
            raise ContentError("it is cut short")
        found = bytes(self.data[self.at : self.at + size])
        self.at += size
        return found

    def number(self, form: str) -> Any:
        """A number in a fixed form."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def block(self, form: str) -> bytes:
        """A number of bytes, and so many bytes."""
        return self.take(self.number(form))

    def line(self, longest: int = LONGEST_NAME) -> str:
        """The text before the next end of a line."""
        size, end = 64, -1
        while end < 0 and size < 64 * longest and size < 64 + 8 * (len(self.data) - self.at):
            head = bytes(self.data[self.at : self.at + min(size, longest + 1)])
            end, size = head.find(b"\n"), 8 * size  # most lines are short: little is copied to look for their end
        if end < 0:
            raise ContentError(f"a line must end, after at most {longest} bytes")
        self.at += end + 1
        return head[:end].decode("latin-1")
