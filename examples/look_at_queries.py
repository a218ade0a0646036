"""What queries got before and after, as a picture and as a page: those that gained and lost most.

python examples/look_at_queries.py [FOLDER]     # queries.png and queries.html go there
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import rerankit
from rerankit.demo import halves
from rerankit.features import Pictures


def picture(half: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Pixels as bytes, (height, width, 3); paths of files and PIL pictures will do as well."""
    grey = (255 * (1 - np.clip(half, 0, 1))).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def main(out: Path) -> None:
    digits = halves()
    problem = digits.problem.with_features(
        query_features={"images": Pictures([picture(half) for half in digits.uppers])},
        gallery_features={"images": Pictures([picture(half) for half in digits.lowers])},
    )
    ranking = rerankit.rerank(problem, "mutual-rank", k=50)
    sheet = rerankit.show(problem, ranking, relevance=digits.own, k=5)  # or the queries you name
    sheet.save(out / "queries.png", overwrite=True)
    print(sheet.save(out / "queries.html", overwrite=True))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
