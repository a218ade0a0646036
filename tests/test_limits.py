"""What a file may ask for, and how to allow more."""

from __future__ import annotations

import pytest

from rerankit import limits
from rerankit.errors import FormatError, InputError, UnknownNameError


def test_limits_from_a_block_and_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.current() == limits.Limits()
    with limits.using(header="1MB", ratio=7):
        assert (limits.current().header, limits.current().ratio, limits.current().depth) == (1_000_000, 7, 100)
        with limits.using(depth=3):
            assert (limits.current().ratio, limits.current().depth) == (7, 3)
    monkeypatch.setenv("RERANKIT_LIMITS", "header=2KiB  files=9")
    assert (limits.current().header, limits.current().files) == (2048, 9)


def test_limits_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ratio", 0), ("ratio", "many"), ("ratio", True), ("header", "0MB"), ("depth", 1.5)):
        with pytest.raises(InputError, match=f"'{name}' must be"), limits.using(**{name: value}):
            pass
    with pytest.raises(UnknownNameError, match="unknown limit 'ratios'; did you mean 'ratio'"), limits.using(ratios=3):
        pass
    monkeypatch.setenv("RERANKIT_LIMITS", "ratio")
    with pytest.raises(InputError, match="'RERANKIT_LIMITS' must be words NAME=VALUE"):
        limits.current()


def test_a_refusal_says_how_to_allow_it() -> None:
    limits.check("a.npz", "files", 3, "the number of arrays")
    with pytest.raises(FormatError, match=r"a\.npz: .* at most 100000 \(got 200000\).*limits\.using\(files=…\)"):
        limits.check("a.npz", "files", 200_000, "the number of arrays")
