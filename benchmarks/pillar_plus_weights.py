"""Train the weights of `pillar-plus` that ship with rerankit, on captions.

    OMP_NUM_THREADS=2 python benchmarks/pillar_plus_weights.py --data FOLDER [--out FILE]

FOLDER holds coco_captions/{train,val}.npz: embeddings of captions, one annotator's in the place of the picture. Fitted
on train, the best step by val; test is not looked at. About four minutes on two cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import rerankit
from pillar_quality import captions
from rerankit.files import atomic
from rerankit.stages.pillar.plus.shipped import FOLDER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=FOLDER / "captions.safetensors")
    given = parser.parse_args()
    fitted = rerankit.stage("pillar-plus").fit(*captions(given.data, "train"), validation=captions(given.data, "val"))
    with atomic(given.out) as path:
        save_file({name: np.ascontiguousarray(array) for name, array in fitted.get_weights().items()}, path)
    print(fitted.history)


if __name__ == "__main__":
    main()
