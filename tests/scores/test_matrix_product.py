"""Products in rerankit's own threads: the same as the library's, which has as many threads afterwards as before."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from rerankit.scores import matrix_product
from rerankit.threads import _helpers, is_helper


def library_threads() -> set[int]:
    """Of those libraries that count them for the whole process: one that other packages bring may not (OpenMP)."""
    return {each["num_threads"] for each in threadpool_info() if each.get("threading_layer") == "pthreads"}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, set[int]]]:
    """The pieces of every product that is cut, and the threads that the library has meanwhile."""
    with threadpool_limits(1, user_api="blas"):
        if library_threads() - {1}:
            pytest.skip("another thread of this process has told the library how many threads to use")
    ours = ThreadpoolController().select(threading_layer="pthreads")
    monkeypatch.setattr(matrix_product, "_libraries", lambda: ours)
    found: list[tuple[int, set[int]]] = []

    def in_threads(work: Any, pieces: Any) -> Any:
        found.append((len(pieces), library_threads()))
        return [work(piece) for piece in pieces]

    monkeypatch.setattr(matrix_product, "in_threads", in_threads)
    monkeypatch.setattr(matrix_product, "_SMALL", 1000)
    return found


def product(rows: int, columns: int) -> None:
    random = np.random.default_rng(rows + columns)
    left, right = random.integers(-9, 9, (rows, 7)).astype(float), random.integers(-9, 9, (columns, 7)).astype(float)
    found = np.full((rows, columns), np.nan)
    matrix_product.product_into(found, left, right)
    assert (found == left @ right.T).all()


@pytest.mark.skipif(not library_threads(), reason="a matrix library that does not tell its threads")
def test_a_product_is_cut_for_as_many_threads_as_the_library_has(seen: list[Any]) -> None:
    with threadpool_limits(3, user_api="blas"):
        product(20, 31)
        product(3, 4)  # too small
        assert seen == [(3, {1}), (1, {3})]
        assert library_threads() == {3}
    with threadpool_limits(1, user_api="blas"):
        product(20, 31)
    assert seen[2:] == [(1, {1})]


@pytest.mark.skipif(not library_threads(), reason="a matrix library that does not tell its threads")
def test_an_error_and_products_side_by_side_leave_the_library_as_it_was(seen: list[Any]) -> None:
    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(ValueError, match="mismatch"):
            matrix_product.product_into(np.empty((20, 30)), np.ones((20, 7)), np.ones((30, 8)))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(product, range(20, 60), range(40, 80)))
        assert library_threads() == {2}
        product(20, 31)
    assert seen[0] == seen[-1] == (2, {1})
    for pieces, threads in seen:  # one is cut, those beside it are not, whatever the libraries are told meanwhile
        assert (pieces, threads) == (2, {1}) or (pieces == 1 and threads <= {1, 2})


def test_a_library_that_counts_its_threads_for_each_thread_is_left_as_it_is(
    seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = SimpleNamespace(num_threads=4, threading_layer="openmp")
    monkeypatch.setattr(matrix_product, "_libraries", lambda: SimpleNamespace(lib_controllers=[library]))
    before = library_threads()
    product(20, 31)
    assert seen == [(1, before)]


def test_libraries_that_other_packages_bring_turn_nothing_off() -> None:
    pytest.importorskip("faiss")
    code = """
import faiss, numpy
from threadpoolctl import threadpool_info, threadpool_limits
from rerankit.scores.matrix_product import each_alone
own = lambda: {each["num_threads"] for each in threadpool_info() if "numpy.libs" in each["filepath"]}
with threadpool_limits(2, user_api="blas"):
    if own():  # numpy from a wheel
        before = threadpool_info()
        with each_alone() as threads:
            assert (threads, own()) == (2, {1}), (threads, own())
            assert [each for each in threadpool_info() if "faiss" in each["filepath"]] == [
                each for each in before if "faiss" in each["filepath"]
            ]
        assert threadpool_info() == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_product_with_nothing_is_empty() -> None:
    product(3, 0)


def test_a_piece_of_something_is_not_cut_and_tells_the_library_nothing(seen: list[Any]) -> None:
    before = library_threads()
    (helper,) = _helpers().asked(lambda: product(20, 31), 1)
    helper.result()
    assert seen == [(1, before)]


def test_a_thread_of_that_name_is_none_of_ours() -> None:
    with ThreadPoolExecutor(1, "rerankit") as pool:
        assert not pool.submit(is_helper).result()
