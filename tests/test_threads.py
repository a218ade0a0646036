"""Work in threads: in order, inside each other, with the first error, and in a copy of the process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from contextvars import ContextVar

import pytest

from rerankit.scoped import set_to
from rerankit.threads import MOST, in_threads

depth = ContextVar("depth", default=0)


@pytest.fixture(autouse=True)
def four_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)


def leaves(height: int) -> int:
    return 1 if height == 0 else sum(in_threads(leaves, [height - 1] * 3))


def test_pieces_may_be_cut_again_however_few_threads_there_are() -> None:
    assert leaves(5) == 3**5
    assert threading.active_count() < 30


def test_the_error_of_the_first_piece_is_raised() -> None:
    def fail(number: int) -> None:
        time.sleep(0.01 * (3 - number))
        raise ValueError(number)

    with pytest.raises(ValueError, match=r"^0$"):
        in_threads(fail, range(4))


def test_what_holds_in_a_block_holds_in_its_threads() -> None:
    with set_to(depth, 7):
        assert in_threads(lambda _: (time.sleep(0.01), depth.get())[1], range(8)) == [7] * 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot copy a process")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_copy_of_the_process_has_threads_of_its_own() -> None:
    def names() -> set[str]:
        return set(in_threads(lambda _: (time.sleep(0.02), threading.current_thread().name)[1], range(8)))

    assert len(names()) > 1
    child = os.fork()
    if child == 0:
        os._exit(0 if len(names()) > 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_work_that_found_no_free_thread_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: MOST)
    busy, looked = threading.Barrier(MOST), threading.Event()

    class Work:
        def __call__(self, number: int) -> int:
            return number

    def piece(number: int) -> bool:
        busy.wait(10)  # until all threads have a piece
        if number:
            return looked.wait(10)
        work = Work()
        kept = weakref.ref(work)
        assert in_threads(work, range(3)) == [0, 1, 2]
        del work
        gone = kept() is None
        looked.set()
        return gone

    assert in_threads(piece, range(MOST)) == [True] * MOST


def test_an_interrupt_ends_the_work_of_all_threads() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        time.sleep(0.01)
        if number < 2:
            raise (ValueError, KeyboardInterrupt)[number]

    with pytest.raises(KeyboardInterrupt):
        in_threads(work, range(100))
    assert len(begun) < 20


def test_where_the_program_ends_the_calling_thread_works_alone() -> None:
    code = """
    import os, threading, time
    from rerankit.threads import in_threads
    os.cpu_count = lambda: 4

    def late():
        threading.main_thread().join()
        print(in_threads(len, ["a", "bc"]))

    threading.Thread(target=late).start()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[1, 2]\n", "")
