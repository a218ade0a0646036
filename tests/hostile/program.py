"""The program, killed before its step of a number: `python program.py NUMBER FILE rerankit's arguments`.

The number of steps it takes goes to FILE when it is not killed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from killing import Killer


def main() -> None:
    """Run it."""
    number, place = int(sys.argv[1]), Path(sys.argv[2])
    import rerankit.cli  # steps begin where the program has been read

    killer = Killer(number)
    sys.argv[:] = ["rerankit", *sys.argv[3:]]
    sys.addaudithook(killer)
    try:
        rerankit.cli.main()
    finally:
        place.write_text(str(killer.seen))


if __name__ == "__main__":
    main()
