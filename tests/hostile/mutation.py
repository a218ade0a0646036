"""Damage to files: to bytes anywhere, and to what stands inside containers, so that it is met behind their checks."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from typing import Any

import numpy as np

TOKENS = [
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc3", "é".encode(), b"\\u0000", b"\\ud800", b"\x1a"),
    *(b"nan", b"inf", b"-1", b"0", b"1e999", b"99999999999999999999", b"true", b"null", b"e", b"#"),
    *(b'"', b"'", b",", b":", b"\n", b"\r", b"\t", b"{", b"[", b"]", b"}", b"&a", b"*a", b"!!python/name:os.system"),
]
NUMBERS = [0, 1, -1, 255, 2**31, 2**32, 2**53, 2**63 - 1, -(2**63)]
VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    2**70,
    "",
    "x",
    "\ud800",
    "\x00",
    "../x",
    [],
    [[]],
    {},
    {"a": [1]},
    [None] * 3,
]


class Mutator:
    """Draws damage; the same for a seed."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def one(self, choices: Any) -> Any:
        """One of some choices."""
        return choices[int(self.rng.integers(len(choices)))]

    def place(self, length: int) -> int:
        return int(self.rng.integers(length + 1))

    def file(self, name: str, content: bytes) -> bytes:
        """A file's damaged content; of containers every second time what is inside them."""
        if self.rng.random() < 0.5:
            return self.bytes(content)
        if content[:2] == b"PK":
            return self.member(content)
        if content[:2] == b"\x1f\x8b":
            return gzip.compress(self.bytes(gzip.decompress(content)))
        if name.endswith(".safetensors"):
            return self.header(content)
        if name.endswith(".json"):
            return self.json(content)
        return self.bytes(content)

    def bytes(self, content: bytes) -> bytes:
        """One to eight small damages."""
        made = bytearray(content)
        for _ in range(self.one([1, 1, 1, 2, 3, 8])):
            self._damage(made)
        return bytes(made)

    def _damage(self, made: bytearray) -> None:
        at = self.place(len(made))
        kind = int(self.rng.integers(8))
        if kind == 0 and at < len(made):
            made[at] ^= 1 << int(self.rng.integers(8))
        elif kind == 1:
            made[at : at + 1] = self.rng.bytes(1)
        elif kind == 2:
            del made[at : at + self.one([1, 2, 8, 100])]
        elif kind == 3:
            made[at:at] = self.one(TOKENS)
        elif kind == 4:
            token = self.one(TOKENS)
            made[at : at + len(token)] = token
        elif kind == 5:
            del made[at:]
        elif kind == 6:
            made[at:at] = made[at : at + self.one([1, 8, 200])]
        else:
            made[at : at + 8] = struct.pack("<q", self.one(NUMBERS))

    def member(self, content: bytes) -> bytes:
        """A zip file with one damaged member, whose checksum is right again."""
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(out, "w") as made:
            chosen = self.one(given.namelist())
            for name in given.namelist():
                inner = given.read(name)
                made.writestr(name, self.bytes(inner) if name == chosen else inner)
        return out.getvalue()

    def header(self, content: bytes) -> bytes:
        """A safetensors file with a damaged header, whose length is right again."""
        end = 8 + int.from_bytes(content[:8], "little")
        header = self.json(content[8:end]) if self.rng.random() < 0.7 else self.bytes(content[8:end])
        return len(header).to_bytes(8, "little") + header + content[end:]

    def json(self, content: bytes) -> bytes:
        """JSON with one value exchanged, taken away or repeated, wherever it stands."""
        whole = {"": json.loads(content)}
        holders: list[Any] = [whole]
        for holder in holders:
            inner = holder.values() if isinstance(holder, dict) else holder
            holders += [value for value in inner if isinstance(value, dict | list) and value]
        holder = self.one(holders)
        key = self.one(list(holder) if isinstance(holder, dict) else range(len(holder)))
        change = self.one(["exchange", "exchange", "remove", "again", "deep"])
        if change == "remove" and holder is not whole:
            del holder[key]
        elif change == "again" and isinstance(holder, list):
            holder.insert(key, holder[key])
        else:
            holder[key] = self._deep() if change == "deep" else self.one(VALUES)
        return json.dumps(whole[""]).encode()

    def _deep(self) -> Any:
        made: Any = []
        for _ in range(self.one([50, 900])):
            made = [made]
        return made
