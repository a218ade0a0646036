"""One service over HTTP: a body in JSON out, an answer in JSON back, tried again where that may help."""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from rerankit.errors import InputError, StageError

_MOST_BYTES = 64_000_000  # of an answer
_LONGEST_PAUSE = 60.0
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
_PIECE = 65_536


class _Again(Exception):  # noqa: N818 - it is a reason to try again
    """What another try may mend, and how long the service wants to be left alone (None: it does not say)."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class _NoRedirect(HTTPRedirectHandler):
    """A redirection would take the token elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = build_opener(_NoRedirect)


@dataclass(frozen=True)
class Endpoint:
    """Where a service is asked, and how patiently."""

    url: str
    token_variable: str
    timeout: float
    retries: int
    pause: float

    def ask(self, body: Mapping[str, Any], stop: threading.Event) -> Any:
        """The service's answer; no further try begins after `stop` is set."""
        content, tries = json.dumps(body).encode(), self.retries + 1
        for turn in range(tries):
            try:
                return self._once(content)
            except _Again as again:
                wanted = self.pause * 2**turn * random.uniform(0.5, 1) if again.pause is None else again.pause
                if turn == self.retries or stop.wait(min(wanted, _LONGEST_PAUSE)):
                    tried = f"{turn + 1} {'try' if turn == 0 else 'tries'}"
                    raise StageError(f"gave no answer in {tried}: {again}") from None
        raise AssertionError("the last try returns or raises")

    def _once(self, content: bytes) -> Any:
        request = Request(self.url, content, {"Content-Type": "application/json", **self._token()})
        ends = time.monotonic() + self.timeout
        try:
            with _OPENER.open(request, timeout=self.timeout) as response:
                text = _read(response, ends)
        except HTTPError as error:
            self._refused(error)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise _Again(f"{type(reason).__name__}: {reason}".rstrip(": ")) from None
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _Again(f"the answer is no JSON: {error}") from None

    def _refused(self, error: HTTPError) -> Any:
        try:
            body = error.read(300).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            body = ""
        reason = f"status {error.code}: {self._hidden(body) or error.reason}"
        if error.code not in _AGAIN:
            raise StageError(f"refuses: {reason}") from None
        after = error.headers.get("Retry-After", "")
        raise _Again(reason, float(after) if after.isdecimal() else None) from None

    def _token(self) -> dict[str, str]:
        token = os.environ.get(self.token_variable, "")
        if not (token.isascii() and token.isprintable()):
            raise InputError(f"the token in the environment variable {self.token_variable} must be printable ASCII")
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _hidden(self, text: str) -> str:
        token = os.environ.get(self.token_variable)
        return text.replace(token, "…") if token else text


def _read(response: Any, ends: float) -> bytes:
    """All of an answer, which may be neither too long nor too slow."""
    parts, size = [], 0
    while part := response.read1(_PIECE):
        parts.append(part)
        size += len(part)
        if size > _MOST_BYTES:
            raise StageError(f"must answer with at most {_MOST_BYTES:,} bytes")
        if time.monotonic() > ends:
            raise TimeoutError("the answer came too slowly")
    if response.length:  # what was promised and did not come
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(parts)
