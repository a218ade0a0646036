"""Stopping the program, at any time: one line, the exit code of the signal, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import rerankit

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the signals of POSIX")

AT_IMPORT = """
import os, signal, sys
left = int(sys.argv.pop(1))
def hook(event, _):
    global left
    if event == "import":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGINT)
from rerankit.__main__ import main
sys.addaudithook(hook)
sys.argv[0] = "rerankit"
main()
"""

SLOW = """
import os, signal, sys, time
import rerankit
from rerankit import Stage, hookimpl

class Slow(Stage):
    name = "slow"
    def rescore(self, problem, ranking):
        with rerankit.files.atomic(os.environ["PLACE"]) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
            time.sleep(30)

@hookimpl
def rerankit_register_stages(register):
    register("slow", Slow)
"""


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """A shell starts what runs in the background with interruptions ignored, and children would ignore them, too."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [1, 20, 60, 150, 400])
def test_an_interruption_while_the_program_starts(number: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_IMPORT, str(number), "stages"], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) in ((130, "error: interrupted\n"), (0, ""))
    assert number > 150 or done.returncode == 130


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interruption_of_the_work_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    number = getattr(signal, name)
    (tmp_path / "slow.py").write_text(SLOW.replace("import rerankit\n", "import rerankit, rerankit.files\n", 1))
    rerankit.write(tmp_path / "problem.npz", rerankit.Problem(np.eye(3)))
    command = ["rerank", "problem.npz", "--plugin", "slow.py", "-s", "slow", "-o", "run.npz"]
    done = subprocess.run(
        [sys.executable, "-m", "rerankit", *command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "SIGNAL": str(int(number)), "PLACE": str(tmp_path / "out.txt")},
    )
    line = "error: interrupted\n" if name == "SIGINT" else f"error: stopped by {name}\n"
    assert (done.returncode, done.stderr) == (128 + number, line)
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {"problem.npz", "slow.py"}


IGNORED = """
import os, signal
from rerankit.stopping import leave_when_stopped, stoppable
signal.signal(signal.SIGHUP, signal.SIG_IGN)
leave_when_stopped()
os.kill(os.getpid(), signal.SIGHUP)
with stoppable():
    os.kill(os.getpid(), signal.SIGHUP)
print("still here")
"""


def test_signals_that_are_ignored_stay_ignored(tmp_path: Path) -> None:
    """As `nohup` asks."""
    done = subprocess.run([sys.executable, "-c", IGNORED], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "still here\n"
