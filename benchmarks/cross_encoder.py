"""What `cross-encoder` costs beside the model alone, on pairs of real captions, and what sorting and the cache save.

    OMP_NUM_THREADS=1 python benchmarks/cross_encoder.py --data FOLDER

FOLDER has `cirr/cap.rc2.val.json`, the captions of CIRR's validation split. The model has the size of a MiniLM
cross-encoder (6 layers of width 384) and random weights: what a pair costs does not depend on them. Ways run in turn,
the least of three counts, in seconds of one core: other work on the machine hardly moves them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rerankit import Problem, stage

QUERIES, CANDIDATES, BATCH, TURNS = 8, 16, 32, 3


def model_of(texts: list[str]) -> Any:
    """A CrossEncoder of random weights that knows the words of the texts."""
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    words = sorted({word for text in texts for word in text.lower().split()})
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Path(folder) / "vocab.txt"
        vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]), encoding="utf-8")
        tokenizer = BertTokenizer(str(vocabulary))
        sizes = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
        made = BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer), num_labels=1, **sizes))
        made.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return CrossEncoder(folder, device="cpu")


def least(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The least seconds of one core of each way, all of them in turn."""
    found = {name: np.inf for name in ways}
    for _ in range(TURNS):
        for name, way in ways.items():
            start = time.process_time()
            way()
            found[name] = min(found[name], time.process_time() - start)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    captions = json.loads((parser.parse_args().data / "cirr" / "cap.rc2.val.json").read_text())
    texts = [each["caption"] for each in captions]
    queries, items = texts[:QUERIES], texts[QUERIES : QUERIES + 200]
    features = {"query_features": {"text": queries}, "gallery_features": {"text": items}}
    problem = Problem(np.random.default_rng(0).random((len(queries), len(items))), **features)
    ranking, model = problem.ranking(CANDIDATES), model_of(texts)
    pairs = [(queries[query], items[item]) for query, row in enumerate(ranking.indices) for item in row]
    filled = stage("cross-encoder", model=model, batch_size=BATCH)
    filled.rerank(problem, ranking)
    ways: dict[str, Callable[[], object]] = {
        "model alone, batches as the pairs come": lambda: [
            model.predict(pairs[start : start + BATCH], show_progress_bar=False)
            for start in range(0, len(pairs), BATCH)
        ],
        "model alone, `predict` of all pairs": lambda: model.predict(pairs, batch_size=BATCH, show_progress_bar=False),
        "`cross-encoder`": lambda: stage("cross-encoder", model=model, batch_size=BATCH).rerank(problem, ranking),
        '`cross-encoder`, `precision="bf16"`': lambda: stage(
            "cross-encoder", model=model, batch_size=BATCH, precision="bf16"
        ).rerank(problem, ranking),
        "`cross-encoder`, all pairs asked before": lambda: filled.rerank(problem, ranking),
    }
    print(f"{len(pairs)} pairs of {np.mean([len(text.split()) for pair in pairs for text in pair]):.0f} words a side")
    print("| | CPU seconds | pairs a second |", "| --- | --: | --: |", sep="\n")
    for name, seconds in least(ways).items():
        print(f"| {name} | {seconds:.3g} | {len(pairs) / seconds:,.0f} |")


if __name__ == "__main__":
    main()
