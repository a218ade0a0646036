"""The program `rerankit`, and `python -m rerankit`."""

from __future__ import annotations

from rerankit.stopping import leave_when_stopped


def main() -> None:
    """The entry point of the program; whoever stops it while it starts gets one line and no traceback."""
    leave_when_stopped()
    from rerankit.cli import main as run  # takes a while

    run()


if __name__ == "__main__":
    main()
