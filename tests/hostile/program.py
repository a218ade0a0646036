"""The program with its arguments, in copies of this process, each killed before a step: `python program.py ARGUMENTS`.

Each line that comes in is a step's number (0: no kill) and the place for `--out`; the line that goes out is the number
of steps it took, or -1 where it was killed. What one copy has imported is imported here too, so that from the second on
the steps are those of its work.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys

from killing import Killer

import rerankit.cli


def main() -> None:
    """Do what the lines ask for."""
    words = sys.argv[1:]
    for line in sys.stdin:
        number, place = line.rstrip("\n").split(" ", 1)
        print(_copy(int(number), [*words, "-o", place]), flush=True)


def _copy(number: int, words: list[str]) -> int:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _work(number, words, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read().split()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return -1
    assert status == 0, f"{words} failed, and was not killed"
    for name in said[1:]:
        with contextlib.suppress(Exception):  # some are not to be imported by their name
            importlib.import_module(name)
    return int(said[0])


def _work(number: int, words: list[str], pipe: int) -> None:
    os.dup2(2, 1)  # what the program prints is no answer
    sys.argv[:] = ["rerankit", *words]
    killer = Killer(number)
    sys.addaudithook(killer)
    try:
        rerankit.cli.main()
    finally:
        os.write(pipe, " ".join([str(killer.seen), *sys.modules]).encode())
    sys.exit()


if __name__ == "__main__":
    main()
