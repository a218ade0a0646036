"""CIRCUS: queries of four composed-retrieval benchmarks that neither the picture nor the text answers alone."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import ClassVar, NamedTuple

import numpy as np

from rerankit import checks
from rerankit.relevance import Relevance
from rerankit.tasks.base import (
    Benchmark,
    Card,
    DataFile,
    Matrix,
    Part,
    Task,
    check_known,
    check_once,
    counted,
    located,
    refuse,
)
from rerankit.tasks.files import field, fields, read_json_lines, write_json_lines

DATASETS = ("circo", "cirr", "fashioniq", "lasco")
SUBSETS = ("validated", "shortcut_free", "composition_required", "unresolved")
SIZES = {
    "circo": (42, 56, 53, 3),
    "cirr": (303, 685, 271, 414),
    "fashioniq": (586, 4069, 1462, 2607),
    "lasco": (758, 18_418, 2064, 16_354),
}
"""Published queries of each dataset, in the order of `SUBSETS`."""
_VALIDATED = {
    "circo": "circo_test",
    "cirr": "mbeir_cirr_task7_test",
    "fashioniq": "mbeir_fashioniq_task7_test",
    "lasco": "lasco_test_task7_test",
}
"""How the files of validated queries begin."""


class CircusQuery(NamedTuple):
    """A query: its id, picture and text, the target it was written for, and all that are right."""

    name: str
    picture: str
    text: str
    target: str
    right: list[str]


class CIRCUS(Task):
    """The audited queries of one dataset against the whole of its candidates.

    dataset: circo, cirr, fashioniq or lasco. subset: "validated" by people, "shortcut_free" (which neither the picture
    nor the text answers alone), or its halves "composition_required" and "unresolved". published: whether there must be
    as many queries as were published.
    """

    card: ClassVar[Card] = Card(
        name="circus",
        title="CIRCUS, queries without single-modality shortcuts",
        citation="Attimonelli et al., Do composed image retrieval benchmarks require multimodal composition?, "
        "arXiv 2605.14787, 2026",
        licence="that of each dataset: CC BY-NC 4.0 (CIRCO), MIT (CIRR), CDLA-Permissive 1.0 (Fashion-IQ)",
        revision="release of May 2026",
        split="test of M-BEIR; validation of CIRCO and LaSCo",
        direction="picture and remark to picture",
        metrics=("success@5", "success@10", "success@50", "ndcg@10", "mrr"),
        main="circus/success@10",
        url="https://github.com/matteoattimonelli/CIRCUS",
        notes="the target that a query was written for is right; CIRCO's further targets are a part of their own. "
        "The composition gap is success@10 less the better of two runs whose queries lack the picture, or the text",
    )

    def __init__(self, dataset: str = "circo", subset: str = "validated", published: bool = True) -> None:
        self.dataset = checks.choice("dataset", dataset, DATASETS)
        self.subset, self.published = checks.choice("subset", subset, SUBSETS), published

    @property
    def files(self) -> tuple[DataFile, ...]:
        """Queries as the release lays them out, and the candidates of M-BEIR's layout."""
        name, found = self.dataset, []
        if self.subset == "validated":
            for half in ("validated_solved", "validated_unsolved"):
                path = f"final_dataset/query_jsonl/{name}/{half}/{_VALIDATED[name]}_{half}.jsonl"
                found.append(DataFile(path, f"queries that are {half.replace('_', ', ')}"))
        else:
            path = f"shortcut_free_subsets/{name}/{self.subset}/mbeir_{name}_task7_test_multimodal.jsonl"
            found.append(DataFile(path, "queries of the subset"))
        return (*found, DataFile(f"cand_pool/{name}_task7.jsonl", "every picture of the gallery"))

    def read(self, data: Path) -> Benchmark:
        """One matrix; a part for the targets, and one for all that is right where that is more."""
        *query_files, pool = (located(data, each.path) for each in self.files)
        queries = [(path, query) for path in query_files for query in read_queries(path)]
        if self.published:
            wanted = dict(zip(SUBSETS, SIZES[self.dataset], strict=True))[self.subset]
            others = "for other files, such as a miniature's, set 'published' to false"
            counted(query_files[0].parent, f"queries of '{self.subset}', as published", wanted, len(queries), others)
        paths = read_candidates(pool)
        place = {name: column for column, name in enumerate(paths)}
        for path in query_files:
            own = [name for where, query in queries if where == path for name in query.right]
            check_known(path, pool, "targets", own, place)
        named = {PurePosixPath(path).name: name for name, path in paths.items()}
        found = [query for _, query in queries]
        file_names = [PurePosixPath(query.picture).name for query in found]
        features = {
            # The release writes paths of its authors' machines; a picture is known by the name of its file.
            "reference": [named.get(name, name) for name in file_names],
            "text": [query.text for query in found],
        }
        gallery = {"candidate_path": list(paths.values())}
        matrix = Matrix([query.name for query in found], list(paths), features, gallery)
        together = features["reference"]
        targets = Relevance.from_lists([[place[query.target]] for query in found], len(place))
        parts = [Part("circus", targets, together=together)]
        if any(len(query.right) > 1 for query in found):
            right = [[place[name] for name in query.right] for query in found]
            metrics = ("success@10", "map@5", "map@10", "map@50")
            relevance = Relevance.from_lists(right, len(place))
            parts.append(Part("all-targets", relevance, metrics=metrics, together=together))
        return Benchmark(self, {"scores": matrix}, tuple(parts), self.checksum(data))

    def write_miniature(self, data: Path, seed: int = 0) -> CIRCUS:
        """Made-up ids in the layout of the dataset: eight queries among forty pictures."""
        self.check_new(data)
        rng = np.random.default_rng(seed)
        converted = self.dataset in ("circo", "lasco")
        pool = [f"{self.dataset}_img_{n}" if converted else f"8:{n}" for n in rng.permutation(900)[:40].tolist()]
        pictures = {name: f"mbeir_images/{self.dataset}_images/{n:012d}.jpg" for n, name in enumerate(pool)}
        *query_files, candidates = self.files
        key = "cand_id" if converted else "did"
        write_json_lines(data / candidates.path, [{key: name, "img_path": pictures[name]} for name in pool])
        records = []
        for row in range(8):
            reference, *right = rng.choice(pool, 2 + row % 3, replace=False).tolist()
            text, name = f"the same with {row} of them", f"{self.dataset}_q_test_{row}"
            shown = {"query_img_path": f"<path>/{pictures[reference]}", "pos_cand_list": right[:1]}
            if converted:
                more = {"gt_cand_list": right} if self.dataset == "circo" else {}
                records.append({"query_id": name, "query_text": text, **shown, **more})
            else:
                records.append({"qid": f"8:{row}", "query_txt": text, **shown, "neg_cand_list": [], "task_id": 7})
        for at, each in enumerate(query_files):
            write_json_lines(data / each.path, records[at :: len(query_files)])
        return CIRCUS(self.dataset, self.subset, published=False)


def read_queries(path: Path) -> list[CircusQuery]:
    """The queries of a file: records of M-BEIR, or of the release's conversions, which have other names."""
    found = []
    for row, entry in enumerate(read_json_lines(path)):
        query, text = ("qid", "query_txt") if isinstance(entry, dict) and "qid" in entry else ("query_id", "query_text")
        targets = fields(entry, "pos_cand_list", path, row, str)
        refuse(path, "must have a target for each query", [] if targets else [row])
        right = fields(entry, "gt_cand_list", path, row, str) if "gt_cand_list" in entry else targets[:1]
        name, text_of, picture = (field(entry, each, path, row, str) for each in (query, text, "query_img_path"))
        # The first is the one that the query was written for.
        found.append(CircusQuery(name, picture, text_of, targets[0], list(dict.fromkeys([targets[0], *right]))))
    check_once(path, "a query", [query.name for query in found])
    return found


def read_candidates(path: Path) -> dict[str, str]:
    """The path of each candidate's picture."""
    found: dict[str, str] = {}
    entries = read_json_lines(path)
    for row, entry in enumerate(entries):
        name = "did" if isinstance(entry, dict) and "did" in entry else "cand_id"
        found[field(entry, name, path, row, str)] = field(entry, "img_path", path, row, str)
    check_once(path, "a candidate", [entry.get("did", entry.get("cand_id")) for entry in entries])
    return found
