"""Draw the pictures of the demo that the README and the site show, for light and for dark ground, wide and for phones.

python docs/extra/demo_pictures.py [FOLDER]     # docs by default
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

from PIL import Image

from rerankit.bench.examples import Example
from rerankit.demo import composed, contest, multi_query
from rerankit.reports import Sheet

PLACES = {"": 6, "-narrow": 3}
"""How many candidates are shown, by what stands in a picture's name: more cannot be read on a phone."""
COLOURS = 200


def main(out: Path) -> None:
    parts = {module.NAME: module.section() for module in (contest, multi_query, composed)}
    first = [parts[name].examples[0] for name in (contest.NAME, composed.NAME)]
    # A search as most are, after all but the last sentence; its text is all that was said.
    said = parts[multi_query.NAME].stories[1].rounds[-2]
    own = parts[composed.NAME].examples
    sheets = {"demo": (first[0], said, first[1]), "images/composed": (*own[:2], own[-1])}
    for (name, examples), (form, places) in product(sheets.items(), PLACES.items()):
        sheet = Sheet(tuple(shortened(each, places) for each in examples), True)
        for theme, ending in (("light", ""), ("dark", "-dark")):
            print(smaller(sheet.save(out / f"{name}{form}{ending}.png", theme, overwrite=True)))


def shortened(example: Example, places: int) -> Example:
    """The same with fewer candidates."""
    return replace(example, before=example.before[:places], after=example.after[:places])


def smaller(path: Path) -> Path:
    """The file with few colours: a quarter of its size."""
    picture = Image.open(path).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)
    return path


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1])
