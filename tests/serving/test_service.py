"""A service under real HTTP: right answers, clear refusals, load, slow clients, and a stop in the middle."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rerankit import Bank, Gallery, Ranking, load, prepare, stage
from rerankit.metrics.hubness import hubness
from rerankit.serving.drift import Drift

sys.path.insert(0, str(Path(__file__).parent))
from conftest import ITEMS, NAMES, OLD, QUERIES, RANDOM, Served, serving, started


def number(served: Served, name: str) -> float:
    """One of the counts."""
    return float(re.search(rf"^{re.escape(name)} (\S+)$", served.ask("/metrics")[1], re.MULTILINE)[1])  # type: ignore[index]


def expected(found: Ranking) -> list[dict[str, Any]]:
    return [
        {"query": query, "items": [{"id": item, "score": score} for item, score in items.items()]}
        for query, items in found.to_dict().items()
    ]


def test_answers_are_those_of_the_library(served: Served, folder: Path):
    ready = load(folder)
    status, answer = served.ask("/search", {"query": QUERIES[0].tolist(), "k": 5})
    assert (status, answer["results"]) == (200, expected(ready.rerank(QUERIES[0], k=5)))
    status, answer = served.ask("/search", {"queries": QUERIES[:3].tolist(), "k": 4, "ids": ["a", "b", "c"]})
    assert (status, answer["results"]) == (200, expected(ready.rerank(QUERIES[:3], k=4, ids=["a", "b", "c"])))
    status, answer = served.ask("/search", {"query": QUERIES[0].tolist(), "k": 40, "top_n": 3})
    assert (status, answer["results"]) == (200, expected(ready.rerank(QUERIES[0], k=40).top(3)))
    given = {"candidates": ["item-3", "item-9"], "scores": [0.5, 0.2]}
    status, answer = served.ask("/search", {"query": QUERIES[0].tolist(), **given})
    assert (status, answer["results"]) == (200, expected(ready.rerank(QUERIES[0], **given)))
    status, answer = served.ask("/search", {"query": QUERIES[0].tolist(), **given, "nearest": True})
    assert (status, answer["results"]) == (200, expected(ready.rerank(QUERIES[0], **given, nearest=True)))


def test_what_it_says_of_itself(served: Served):
    assert served.ask("/health") == (200, {"status": "ok"})
    status, info = served.ask("/info")
    assert (status, info["stages"][0]["stage"], info["bounds"]["candidates"]) == (200, "stage('nnn')", 50)
    served.ask("/search", {"query": QUERIES[0].tolist()})
    status, text = served.ask("/metrics")
    assert status == 200
    assert 'rerankit_requests_total{path="/search",status="200"}' in text
    assert 'rerankit_request_seconds_bucket{path="/search",le="+Inf"}' in text


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"query": [1.0, 2.0]}, "'query' must have the gallery's width, 8"),
    ({"queries": [[1.0, 2.0]]}, "'queries' must have the gallery's width, 8"),
    ({"query": [float("nan")] * 8}, "'query' must be finite"),
    ({"query": [1.0] * 8, "k": 0}, "'k' must be at least 1"),
    ({"query": [1.0] * 8, "k": 51}, "'k' must be at most 50"),
    ({"query": [1.0] * 8, "top_n": 0}, "'top_n' must be at least 1"),
    ({"query": [1.0] * 8, "kk": 5}, "unknown field 'kk'; did you mean 'k'"),
    ({"query": "cat"}, "'query' must be a list"),
    ({"query": ["a"] * 8}, "'query' must"),
    ({"query": "half a character: \ud800"}, "the body must be JSON"),
    ({"query": [[[1.0]]]}, "'query' must"),
    ({}, "'queries' must be given"),
    ({"query": [1.0] * 8, "queries": []}, "cannot both be given"),
    ({"queries": [[1.0] * 8] * 9}, "'queries' must have at most 8 queries"),
    ({"query": [1.0] * 8, "nearest": True}, "nearest=True needs queries as vectors, and candidates="),
    ({"query": [1.0] * 8, "candidates": ["item-1"], "nearest": 1}, "'nearest' must be"),
    ({"query": [1.0] * 8, "candidates": ["item-99"]}, "'candidates' must name only known ids"),
    ({"query": [1.0] * 8, "candidates": ["item-1", "item-1"]}, "'candidates' must name an item once"),
    ({"query": [1.0] * 8, "candidates": NAMES}, "'candidates' must have at most 50 candidates"),
    ({"query": [1.0] * 8, "candidates": [{"id": "item-1"}]}, "'candidates' must hold ids"),
    ({"query": [1.0] * 8, "candidates": {"a": 1}}, "'candidates' must be a list"),
    ({"query": [1.0] * 8, "features": 3}, "features"),
]


@pytest.mark.parametrize(("body", "message"), WRONG)
def test_bad_requests_name_the_field_and_the_service_stays_up(served: Served, body: Any, message: str):
    status, answer = served.ask("/search", body)
    assert status == 400, answer
    assert message in answer["error"]["message"]
    assert served.ask("/health")[0] == 200


def test_bodies_that_are_no_json_or_too_long_or_break_off(served: Served):
    twice = b'{"query": [1, 1, 1, 1, 1, 1, 1, 1], "k": 1, "extra_scores": {}, "k": 2}'
    assert "field 'k' must be given once" in served.ask("/search", raw=twice)[1]["error"]["message"]
    for raw in (twice, b"", b"{", b"\xff\xfe", b"[" * 50_000, b"3"):
        assert served.ask("/search", raw=raw)[0] == 400
    assert served.ask("/search", raw=b" " * 100_001)[0] == 413
    assert served.ask("/nowhere", {})[0] == 404
    assert served.ask("/search")[0] == 405
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as gone:
        gone.sendall(b"POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert served.ask("/health")[0] == 200


def test_a_slow_client_is_told_and_nobody_waits_for_it(folder: Path):
    with serving(folder, seconds=1) as found, socket.create_connection(("127.0.0.1", found.port), timeout=30) as slow:
        slow.sendall(b"POST /search HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert found.ask("/health")[0] == 200
        assert b" 408 " in slow.recv(1000)


def test_many_at_once_get_their_own_answers_in_blocks(served: Served, folder: Path):
    ready = load(folder)
    wanted = [expected(ready.rerank(query, k=5)) for query in QUERIES]
    barrier = threading.Barrier(200)

    def ask(turn: int) -> bool:
        barrier.wait(timeout=60)
        row = turn % len(QUERIES)
        return served.ask("/search", {"query": QUERIES[row].tolist(), "k": 5}) == (200, {"results": wanted[row]})

    def blocks() -> float:
        return number(served, "rerankit_blocks_total")

    before = blocks()
    with ThreadPoolExecutor(200) as pool:
        assert all(pool.map(ask, range(200)))
    assert 200 // 8 <= blocks() - before < 200


def test_a_stop_in_the_middle_finishes_what_was_begun(folder: Path):
    with started(folder, "--gather", "1") as (process, found):
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(found.ask, "/search", {"query": QUERIES[0].tolist(), "k": 3})
            time.sleep(0.4)
            process.send_signal(signal.SIGTERM)
            assert answer.result(timeout=60)[0] == 200
        assert process.wait(timeout=60) in (0, 143, -15)
        with pytest.raises(OSError):  # noqa: PT011 - refused or reset, as the system likes
            found.ask("/health")


def test_further_scores_and_those_of_the_bank_come_with_the_query(tmp_path: Path):
    among = Bank(to_gallery=OLD @ ITEMS.T, to_bank=OLD @ OLD.T)
    gallery = Gallery.from_scores(gallery_scores=ITEMS @ ITEMS.T, bank=among, ids=NAMES)
    ready = prepare(stage("fuse", sources=["ranking", "captions", stage("k-reciprocal")]), gallery)
    ready.save(tmp_path / "ready")
    row, opinion, bank = (
        (QUERIES[0] @ ITEMS.T).tolist(),
        RANDOM.normal(size=(1, 60)).tolist(),
        (QUERIES[0] @ OLD.T).tolist(),
    )
    given = {"scores": row, "extra_scores": {"captions": opinion}, "bank_scores": bank}
    with serving(tmp_path / "ready") as served:
        status, answer = served.ask("/search", {**given, "k": 5})
        assert (status, answer["results"]) == (200, expected(ready.rerank(**given, k=5)))
        for wrong in (3, {"captions": 3}, {"captions": [[1.0]]}, {"others": opinion}, {"captions": [["a"] * 60]}):
            status, answer = served.ask("/search", {**given, "extra_scores": wrong})
            assert (status, "extra_scores" in answer["error"]["message"]) == (400, True), answer


def test_without_a_bank_queries_are_passed_on(tmp_path: Path):
    prepare("nnn", Gallery(ITEMS, ids=NAMES), lone="pass").save(tmp_path / "ready")
    gallery = Gallery(ITEMS, ids=NAMES)
    with serving(tmp_path / "ready") as served:
        status, answer = served.ask("/search", {"query": QUERIES[0].tolist(), "k": 5})
        assert (status, answer["results"]) == (200, expected(gallery.ranking(gallery.problem(QUERIES[0]), k=5)))
        assert "every query keeps its order" in served.ask("/info")[1]["stages"][0]["keeps"]


def test_metrics_tell_how_answers_change_and_how_uneven_they_are(tmp_path: Path):
    ready = prepare("nnn", Gallery(ITEMS, bank=OLD), published=True, alpha=2.0)
    ready.save(tmp_path / "ready")
    with serving(tmp_path / "ready") as served:
        for query in QUERIES[:20].tolist():
            served.ask("/search", {"query": query, "k": 20})
        served.ask("/search", {"queries": QUERIES[20:30].tolist(), "k": 20})
        found, first = ready.rerank(QUERIES[:30], k=20), ready.search(QUERIES[:30], k=20)[1]
        changed = int((found.indices[:, 0] != first.indices[:, 0]).sum())
        assert changed > 0
        assert number(served, "rerankit_answers_total") == 30
        assert number(served, "rerankit_changed_total") == changed
        assert number(served, "rerankit_hubness_skewness") == pytest.approx(hubness(found).skewness, rel=1e-5)


def test_drift_looks_back_on_the_latest_answers_alone():
    found = Ranking([[0, 1], [2, 1], [0, 2]], np.float32([[2, 1]] * 3), gallery_size=5)
    drift = Drift(5, latest=2)
    drift.add(found, found)
    assert drift.state() == {"answers": 3, "changed": 0, "watched": 2, "skewness": hubness(found.take([1, 2])).skewness}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="what processes map is read from /proc")
def test_workers_share_the_gallery_count_together_and_are_replaced(folder: Path):
    with started(folder, "--workers", "2") as (process, served):
        ready = load(folder)

        def workers() -> list[int]:
            """The processes that map the gallery, but for the one that watches them."""
            mapping = [int(each.parent.name) for each in Path("/proc").glob("[0-9]*/maps") if maps(each)]
            return [each for each in mapping if each not in (process.pid, os.getpid())]

        def maps(file: Path) -> bool:
            try:
                return f"{folder / 'gallery.safetensors'}" in file.read_text()
            except OSError:
                return False

        wait_for(lambda: served.ask("/health")[0] == 200 and len(workers()) == 2)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda query: served.ask("/search", {"query": query, "k": 3}), QUERIES.tolist()))
        assert [answer["results"] for _, answer in answers] == [expected(ready.rerank(each, k=3)) for each in QUERIES]
        wait_for(lambda: number(served, "rerankit_answers_total") == len(QUERIES))
        gone = workers()[0]
        os.kill(gone, signal.SIGKILL)
        wait_for(lambda: len(workers()) == 2 and gone not in workers())
        assert served.ask("/search", {"query": QUERIES[0].tolist(), "k": 3}) == answers[0]
        assert (
            1 <= number(served, "rerankit_answers_total") <= len(QUERIES) + 1
        )  # the last second of a killed one is lost


def wait_for(happens: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        try:
            if happens():
                return
        except OSError:  # nobody listens yet
            pass
        time.sleep(0.1)
    raise AssertionError("it never happened")


def test_a_token_is_asked_for(folder: Path):
    with serving(folder, token="geheim") as found:
        assert found.ask("/search", {"query": QUERIES[0].tolist()})[0] == 401
        assert found.ask("/info", headers={"Authorization": "Bearer geheim "})[0] in (200, 401)
        assert found.ask("/info", headers={"Authorization": "Bearer falsch"})[0] == 401
        assert found.ask("/info", headers={"Authorization": "Bearer geheim"})[0] == 200
        assert found.ask("/health")[0] == 200
