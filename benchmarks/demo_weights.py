"""Train the networks of the demo that ship with rerankit, from nothing, and write what their cards say.

    OMP_NUM_THREADS=2 python benchmarks/demo_weights.py [multi-query] [composed] [--out FOLDER]

Everything is drawn by the script: training, validation and test pictures from seeds of their own. The best step is
chosen on validation, test is looked at once. The figures are those of the files, whose numbers are in half precision.
About one minute for multi-query and four for composed on two cores that do nothing else; where other work runs beside,
OMP_NUM_THREADS=1 is quicker.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from pathlib import Path
from typing import Any

from rerankit.demo import composed, multi_query, shipped

MODULES: dict[str, Any] = {each.NAME: each for each in (multi_query, composed)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*MODULES, []])
    parser.add_argument("--out", type=Path, default=shipped.FOLDER)
    given = parser.parse_args()
    for name in given.names or MODULES:
        module = MODULES[name]
        with tempfile.TemporaryDirectory() as folder:
            arrays, histories = module.train(Path(folder))
        path = shipped.write(given.out / f"{name}.safetensors", arrays)
        print(*(f"{key}: {history!r}" for key, history in histories.items()), sep="\n")
        describe(path, module)


def describe(path: Path, module: Any) -> None:
    """Print what the card says of a file: size, digest, and its figures on the test pictures."""
    arrays, data = shipped.read(path), path.read_bytes()
    print(f"{path.name}: {len(data):,} bytes, {len(arrays)} arrays; SHA-256 {hashlib.sha256(data).hexdigest()}")
    for row in module.section(arrays).tables[0].rows:
        print("|", *row.values(), "|")


if __name__ == "__main__":
    main()
