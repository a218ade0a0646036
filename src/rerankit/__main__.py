"""`python -m rerankit`."""

from __future__ import annotations

from rerankit.cli import main

if __name__ == "__main__":
    main()
