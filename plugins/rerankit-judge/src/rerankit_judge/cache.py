"""What a judge has said, kept in memory or in a file of SQLite, which processes may share."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from rerankit.errors import FormatError

Answer = list[float]


class Cache:
    """Answers by what was asked; `path` None keeps them as long as the stage lives."""

    def __init__(self, path: str | None = None) -> None:
        self.path = path
        self._known: dict[str, Answer] = {}

    def get(self, key: str) -> Answer | None:
        """The answer to a question that was asked before."""
        if key not in self._known and self.path is not None:
            rows = self._run("SELECT answer FROM answers WHERE key = ?", key)
            if rows:
                self._known[key] = json.loads(rows[0][0])
        return self._known.get(key)

    def put(self, key: str, answer: Answer) -> None:
        """Keep an answer."""
        self._known[key] = answer
        if self.path is not None:
            self._run("INSERT OR REPLACE INTO answers VALUES (?, ?)", key, json.dumps(answer))

    def _run(self, statement: str, *values: str) -> list[Any]:
        """One statement in a connection of its own: threads and processes may ask at once."""
        try:
            with closing(sqlite3.connect(str(self.path), timeout=60)) as connection, connection:
                connection.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT)")
                return connection.execute(statement, values).fetchall()
        except sqlite3.Error as cause:
            raise FormatError(f"{self.path}: is no cache of judgements: {cause}") from cause


def key_of(judge: str, query: Any, items: Sequence[Any]) -> str | None:
    """A digest of a question; None where something else than text is asked about, which is not kept.

    >>> key_of("me", "cat", ["a", "b"]) == key_of("me", "cat", ["b", "a"])
    False
    """
    if not all(isinstance(text, str) for text in (query, *items)):
        return None
    return hashlib.sha256(json.dumps([judge, query, *items]).encode()).hexdigest()
