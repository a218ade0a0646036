"""Features of pictures on disk: kept, checked, bounded; told apart by what made them."""

from __future__ import annotations

import os

import numpy as np
import pytest

from rerankit.errors import RerankitWarning
from rerankit.feature_cache import FeatureCache, fingerprint


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "cache", "model", max_bytes="10KB")


def tokens(seed):
    return np.random.default_rng(seed).random((8, 16)).astype(np.float16)


def test_cache_keeps_tokens(cache):
    assert cache.get("ab12") is None
    cache.put("ab12", tokens(0))
    np.testing.assert_array_equal(cache.get("ab12"), tokens(0))
    assert FeatureCache(cache.folder, "another").get("ab12") is None


def test_cache_finds_corruption(cache):
    cache.put("ab12", tokens(0))
    path = next(cache.folder.glob("*/??/*.safetensors"))
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.warns(RerankitWarning, match="is damaged: it is not what its checksum says; they are made again"):
        assert cache.get("ab12") is None
    cache.put("ab12", tokens(0))
    path.write_bytes(b"short")
    with pytest.warns(RerankitWarning, match="truncated or not a safetensors file"):
        assert cache.get("ab12") is None


def test_cache_is_bounded_and_forgets_what_was_read_longest_ago(cache):
    for number in range(60):
        cache.put(f"{number:04d}", tokens(number))
        for age, path in enumerate(sorted(cache.folder.glob("*/??/*.safetensors"))):
            os.utime(path, (age, age))
        cache.get("0000")
    size = sum(path.stat().st_size for path in cache.folder.glob("*/??/*.safetensors"))
    assert size <= 10_000
    assert cache.get("0000") is not None
    assert cache.get("0001") is None
    assert cache.get("0059") is not None


def test_a_lower_bound_shrinks_a_cache_in_which_all_is_found(cache):
    for number in range(9):
        cache.put(f"{number:04d}", tokens(number))
    lower = FeatureCache(cache.folder, "model", max_bytes="2KB")
    assert lower.get("0008") is not None
    assert sum(path.stat().st_size for path in cache.folder.glob("*/??/*.safetensors")) <= 2000


def test_a_cache_that_may_only_be_read_is_read(cache, monkeypatch):
    cache.put("0001", tokens(1))

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.unlink", refused)
    monkeypatch.setattr("os.utime", refused)
    lower = FeatureCache(cache.folder, "model", max_bytes=100)
    np.testing.assert_array_equal(lower.get("0001"), tokens(1))


def test_cache_keeps_vectors_to_the_bit(cache):
    vector = np.random.default_rng(0).random(16, np.float32)
    cache.put("ab12", vector)
    assert cache.get("ab12").dtype == np.float32
    np.testing.assert_array_equal(cache.get("ab12"), vector)


def test_fingerprint_follows_the_weights():
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(2, 2)
    before = fingerprint(layer, "transform")
    assert before == fingerprint(layer, "transform") != fingerprint(layer, "other")
    with torch.no_grad():
        layer.bias += 1
    assert fingerprint(layer, "transform") != before
    half = fingerprint(layer.bfloat16(), "transform")
    assert half == fingerprint(layer, "transform") != before
