"""Draws benchmarks/recorded/canon-captions.json: what every stage gained on captions, in both directions.

python benchmarks/canon_plots.py --out docs/images/canon-quality.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

from canon_quality import BASE, DIRECTIONS

COLOURS = {"no": "tab:blue", "yes": "tab:orange"}
LABELS = {"no": "each query by itself, or with a bank", "yes": "looks at the other test queries"}


def draw(kept: dict[str, Any], path: Path) -> None:
    """R@1 after re-ranking, one row for each stage, sorted; the line is R@1 before."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names = sorted((name for name in kept if name != BASE), key=lambda name: kept[name][DIRECTIONS[1]]["figures"][0])
    figure, panels = plt.subplots(1, 2, figsize=(9, 0.24 * len(names) + 1.4), sharey=True, layout="constrained")
    for axes, direction in zip(panels, DIRECTIONS, strict=True):
        base = kept[BASE][direction]["figures"][0]
        axes.axvline(base, color="grey", linewidth=1)
        for row, name in enumerate(names):
            flag, found = kept[name]["looks at other test queries"], kept[name][direction]
            low, high = (base + float(end) for end in found["gain"].split(" … "))
            axes.plot([low, high], [row, row], color=COLOURS[flag], alpha=0.4, linewidth=3)
            axes.plot(found["figures"][0], row, "o", color=COLOURS[flag], markersize=4)
        axes.set(title=direction, xlabel="R@1, with the 95 % interval of the gain")
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.grid(axis="x", alpha=0.3)
    handles = [plt.Line2D([], [], color=COLOURS[flag], marker="o", label=LABELS[flag]) for flag in COLOURS]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("benchmarks/recorded/canon-captions.json"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    draw(json.loads(given.results.read_text()), given.out)


if __name__ == "__main__":
    main()
