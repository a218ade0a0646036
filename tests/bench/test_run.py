from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rerankit import Looks, Pipeline, Problem, Stage, evaluate, stage
from rerankit.bench import Result, bench, compare_results, contender, rows, score_set, table
from rerankit.errors import FormatError, InputError, UnmetNeedError
from rerankit.tasks import Benchmark, task


@pytest.fixture
def small(tmp_path: Path) -> Benchmark:
    return task("flickr30k").write_miniature(tmp_path / "data").load(tmp_path / "data")


@pytest.fixture
def scores(small: Benchmark) -> np.ndarray:
    return np.random.default_rng(0).random(small.matrices["scores"].shape, dtype=np.float32)


class Counting(Stage):
    """Turns the list around, and counts how often it was asked."""

    name = "counting"
    calls = 0
    broken = False

    def rescore(self, problem, ranking):  # type: ignore[no-untyped-def]
        type(self).calls += 1
        if type(self).broken and problem.shape[0] > problem.shape[1]:
            raise ValueError("killed")
        return -ranking.scores


class Sided(Stage):
    """Says which side it takes for the rows."""

    name = "sided"

    def __init__(self, rows: str = "images") -> None:
        self.rows = rows

    def reversed(self):  # type: ignore[no-untyped-def]
        return self.clone(rows="texts" if self.rows == "images" else "images")

    def rescore(self, problem, ranking):  # type: ignore[no-untyped-def]
        return ranking.scores


@pytest.fixture(autouse=True)
def fresh() -> None:
    Counting.calls, Counting.broken = 0, False


def test_a_row_says_everything(small: Benchmark, scores: np.ndarray) -> None:
    (result,) = bench(small, scores, Pipeline([Counting(), stage("mutual-rank")]), k=5)
    assert result.task["name"] == "flickr30k"
    assert result.task["sha256"] == small.checksum
    assert result.pipeline["text"] == "Pipeline([stage('counting'), stage('mutual-rank')])"
    assert set(result.environment) >= {"rerankit", "numpy", "python", "system", "cpu", "cores", "device"}
    assert [part.name for part in result.parts] == ["image-to-text", "text-to-image"]
    for part, own in zip(result.parts, small.parts, strict=True):
        problem = small.problem(own, Problem(scores))
        assert (part.queries, part.gallery, part.k) == (*problem.shape, 5)
        assert dict(part.first) == dict(small.evaluate(own, problem))
        turned = Counting().rerank(problem, problem.ranking(5))
        assert dict(part.stages[0].evaluation) == dict(small.evaluate(own, turned, tail=problem))
        for name, value in part.first.items():
            if name.startswith("success"):
                assert value <= part.ceiling[name]
        row = part.stages[1]
        assert part.stages[0].looks_at == Looks()
        assert row.looks_at == Looks(queries=True)
        assert row.seconds > 0
        assert row.seconds_per_query == pytest.approx(row.seconds / part.queries)
        assert row.peak_ram is not None
        assert row.peak_ram >= 0
    assert result.looks_at == Looks(queries=True)
    assert result.summary["last"] == result.summary["stages"][1]
    assert result.summary["last"]["rsum"] == pytest.approx(sum(part.last["rsum"] for part in result.parts))


def test_the_ceiling_is_the_best_order_of_the_candidates(small: Benchmark, scores: np.ndarray) -> None:
    (result,) = bench(small, scores, "mutual-rank", k=4)
    own = small.parts[1]
    problem = small.problem(own, Problem(scores))
    hit = [own.relevance.of(q).items[0] in problem.ranking(4).indices[q] for q in range(problem.shape[0])]
    assert result.parts[1].ceiling["success@1"] == pytest.approx(np.mean(hit))
    deeper = bench(small, scores, "mutual-rank", k=7)[0]
    assert deeper.parts[1].ceiling["success@1"] == 1.0


def test_the_main_figure_is_one_that_was_asked_for(tmp_path: Path) -> None:
    own = task("generic").write_miniature(tmp_path)
    scores = np.random.default_rng(0).random((6, 9))
    assert bench(own, scores, "mutual-rank", data=tmp_path, k=5)[0].summary["main"] == "forward/map"
    (result,) = bench(task("generic", metrics=["mrr"]), scores, "mutual-rank", data=tmp_path, k=5)
    assert result.summary["main"] == "forward/mrr"
    assert "forward/mrr" in rows([result])[0]


def test_stages_are_turned_around_with_the_matrix(small: Benchmark, scores: np.ndarray) -> None:
    (result,) = bench(small, scores, Sided(), k=5)
    assert [part.stages[0].stage for part in result.parts] == ["stage('sided')", "stage('sided', rows='texts')"]


def test_results_survive_files(small: Benchmark, scores: np.ndarray, tmp_path: Path) -> None:
    (result,) = bench(small, scores, {"turned": Counting()}, k=5, out=tmp_path / "results")
    (path,) = (tmp_path / "results").iterdir()
    assert path.name.startswith("flickr30k__scores__turned__")
    again = Result.read(path)
    assert again.to_dict() == result.to_dict()
    assert json.loads(path.read_text())["version"] == 4


def test_a_finished_run_is_not_repeated_unless_asked(small: Benchmark, scores: np.ndarray, tmp_path: Path) -> None:
    plan = {"k": 5, "out": tmp_path}
    bench(small, scores, Counting(), **plan)
    assert Counting.calls == 2
    bench(small, scores, Counting(), **plan)
    assert Counting.calls == 2
    bench(small, scores, Counting(), again=True, **plan)
    assert Counting.calls == 4
    bench(small, scores, Counting(), k=6, out=tmp_path)
    assert Counting.calls == 6
    bench(small, scores + 1, Counting(), **plan)
    assert Counting.calls == 8


def test_a_run_with_other_features_is_another_run(small: Benchmark, scores: np.ndarray, tmp_path: Path) -> None:
    def run(values):  # type: ignore[no-untyped-def]
        bench(small, Problem(scores, query_features={"age": values}), Counting(), k=5, out=tmp_path)
        return len(list(tmp_path.glob("*.json")))

    assert run([1, 2, 3, 4, 5, 6, 7]) == 1
    assert run([1, 2, 3, 4, 5, 6, 8]) == 2
    assert run(np.zeros((7, 2_000))) == 3
    assert run(np.eye(7, 2_000)) == 4
    assert run(np.eye(7, 2_000)) == 4


def test_files_of_a_folder_count_by_name(small: Benchmark, scores: np.ndarray, tmp_path: Path) -> None:
    sums = set()
    for name in ("scores", "distances"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / f"{name}.npy", scores)
        sums.add(score_set(small, tmp_path / name).checksums["scores"])
    assert len(sums) == 2


def test_an_interrupted_run_goes_on(small: Benchmark, scores: np.ndarray, tmp_path: Path) -> None:
    Counting.broken = True
    with pytest.raises(Exception, match="killed"):
        bench(small, scores, Counting(), k=5, out=tmp_path)
    assert [path.suffix for path in tmp_path.iterdir() if path.is_file()] == [".partial"]
    Counting.broken, Counting.calls = False, 0
    (result,) = bench(small, scores, Counting(), k=5, out=tmp_path)
    assert Counting.calls == 1
    assert len(result.parts) == 2
    assert not list(tmp_path.glob(".*.partial"))
    assert (
        result.to_dict()["parts"][1]["first"] == bench(small, scores, Counting(), k=5)[0].to_dict()["parts"][1]["first"]
    )


def test_what_a_kill_left_beside_finished_results_goes(small: Benchmark, scores: np.ndarray, tmp_path: Path) -> None:
    bench(small, scores, Counting(), k=5, out=tmp_path)
    (tmp_path / ".rerankit-killed").mkdir()
    (path,) = tmp_path.glob("*.json")
    path.with_name(f".{path.name}.partial").touch()
    bench(small, scores, Counting(), k=5, out=tmp_path)
    assert [each.name for each in tmp_path.iterdir() if each.name != "data"] == [path.name]


def test_the_picture_is_there_whenever_the_result_is(small: Benchmark, scores: np.ndarray, tmp_path: Path) -> None:
    class Drawn(type(small.task)):  # type: ignore[misc]
        def draw(self, summaries, path):  # type: ignore[no-untyped-def]
            assert not path.with_suffix(".json").exists()
            path.write_text("drawn")
            return True

    drawn = replace(small, task=Drawn(**small.task.get_params()))
    bench(drawn, scores, Counting(), k=5, out=tmp_path)
    assert sorted(each.suffix for each in tmp_path.iterdir() if each.is_file()) == [".json", ".png"]


def test_captions_of_one_picture_are_resampled_together(small: Benchmark, scores: np.ndarray, tmp_path: Path) -> None:
    bench(small, scores, Counting(), k=5, out=tmp_path)
    again = Result.read(next(tmp_path.glob("*.json")))
    assert again.part("image-to-text").together is None
    assert again.part("text-to-image").together == tuple(np.repeat(np.arange(7), 3).tolist())
    tables = compare_results([again], samples=200)
    assert [table.groups for table in tables.values()] == [None, 7]
    apart = compare_results([again], samples=200, independent=True)["text-to-image"]
    assert apart.groups is None
    assert apart.cells != tables["text-to-image"].cells


def _cut(text: str) -> str:
    return text[: len(text) // 2]


DAMAGE = {
    "cut": _cut,
    "no text": lambda text: f"\udcff{text}",
    "deep": lambda text: "[" * 3000,
    "a list": lambda text: f"[{text}]",
    "a part that is a list": lambda text: text.replace('"parts": [', '"parts": [[], '),
    "a part that is a number": lambda text: text.replace('"parts": [', '"parts": [1, '),
    "a part without figures": lambda text: text.replace('"first"', '"last first"'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_partial_file_is_started_anew(
    small: Benchmark, scores: np.ndarray, tmp_path: Path, damage: str
) -> None:
    Counting.broken = True
    with pytest.raises(Exception, match="killed"):
        bench(small, scores, Counting(), k=5, out=tmp_path)
    (partial,) = tmp_path.glob(".*.partial")
    partial.write_text(DAMAGE[damage](partial.read_text()), errors="surrogateescape")
    Counting.broken, Counting.calls = False, 0
    bench(small, scores, Counting(), k=5, out=tmp_path)
    assert Counting.calls == 2


def test_old_results_stay_readable() -> None:
    result = Result.read(Path(__file__).with_name("result_v1.json"))
    assert result.version == 1
    assert result.parts[0].last["success@1"] == pytest.approx(result.summary["last"]["image-to-text/success@1"])
    assert table([result]).splitlines()[0].startswith("scores")
    assert result.parts[0].together is None
    assert compare_results([result], samples=200)[result.parts[0].name].groups is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1: truncated or not JSON"),
        ("[]", r"must hold a dict \(got a list\)"),
        ('{"version": 99}', "got version 99"),
        ('{"version": 1}', "not a complete result"),
    ],
)
def test_files_that_are_no_results(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(FormatError, match=message):
        Result.read(tmp_path / "r.json")


def test_scores_are_brought_to_the_order_of_the_data(small: Benchmark, scores: np.ndarray) -> None:
    matrix = small.matrices["scores"]
    rows_, columns = np.random.default_rng(1).permutation(7), np.random.default_rng(2).permutation(21)
    mixed = Problem(
        scores[rows_][:, columns],
        query_ids=np.array(matrix.query_ids)[rows_],
        gallery_ids=np.array(matrix.gallery_ids)[columns],
    )
    wanted = bench(small, scores, "mutual-rank", k=5)[0].summary
    assert bench(small, mixed, "mutual-rank", k=5)[0].summary == wanted


def test_scores_that_do_not_fit(small: Benchmark, scores: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"scores 'scores' must have shape \(7, 21\), as the task's data \(got \(7, 20\)"
    ):
        bench(small, scores[:, :20], "mutual-rank")
    ids = [f"x{n}" for n in range(7)]
    with pytest.raises(
        InputError, match=r"query ids' must hold every id .* \(got 7 of 7 missing, such as \['made_0000"
    ):
        bench(small, Problem(scores, query_ids=ids), "mutual-rank")
    fashion = task("fashion-iq").write_miniature(tmp_path / "f").load(tmp_path / "f")
    with pytest.raises(InputError, match="needs scores for dress, shirt, toptee \\(got one\\)"):
        bench(fashion, scores, "mutual-rank")
    with pytest.raises(InputError, match="needs scores for dress, shirt, toptee \\(got dress\\)"):
        bench(fashion, {"dress": scores}, "mutual-rank")
    with pytest.raises(InputError, match="'data' must be the folder"):
        bench(task("flickr30k"), scores, "mutual-rank")
    with pytest.raises(InputError, match="'k' must be at least 1"):
        bench(small, scores, "mutual-rank", k=0)
    with pytest.raises(InputError, match="'pipelines' must have different names"):
        bench(small, scores, ["mutual-rank", "mutual-rank"])


def test_needs_are_checked_before_any_work(small: Benchmark, scores: np.ndarray, tmp_path: Path) -> None:
    class Needy(Counting):
        @property
        def needs(self) -> tuple[str, ...]:
            return ("gallery_scores",)

    with pytest.raises(UnmetNeedError, match="gallery_scores"):
        bench(small, scores, Needy(), out=tmp_path / "results")
    assert Counting.calls == 0


def test_several_matrices_and_several_backbones(tmp_path: Path) -> None:
    fashion = task("fashion-iq").write_miniature(tmp_path).load(tmp_path)
    rng = np.random.default_rng(0)
    sets = [
        score_set(fashion, {n: rng.random(m.shape, dtype=np.float32) for n, m in fashion.matrices.items()}, label)
        for label in ("one", "two")
    ]
    results = bench(fashion, sets, ["mutual-rank", Counting()], k=5)
    assert [(r.scores["label"], r.label) for r in results] == [
        ("one", "mutual-rank"),
        ("one", "counting"),
        ("two", "mutual-rank"),
        ("two", "counting"),
    ]
    tables = compare_results(results, samples=200)
    assert list(tables) == ["dress", "shirt", "toptee"]
    assert tables["dress"].systems == (
        "one: first stage",
        "one: mutual-rank",
        "one: counting",
        "two: first stage",
        "two: mutual-rank",
        "two: counting",
    )
    assert tables["dress"].baseline == "one: first stage"  # of both backbones
    of_two = compare_results(results, baseline="two: first stage", metrics=["success@10"], samples=200)
    assert of_two["dress"].cell("two: first stage", "success@10").difference is None


def test_lists_are_benched_without_the_ranks_they_do_not_have(small: Benchmark, scores: np.ndarray) -> None:
    ranking = Problem(scores).ranking(10)
    lists = Problem.from_rankings(ranking.indices, ranking.scores, 21)
    (result,) = bench(small, lists, Counting(), k=5)
    assert "mean_rank" not in result.parts[0].first
    assert result.parts[0].first["success@5"] == evaluate(ranking, small.parts[0].relevance, ["success@5"])["success@5"]


def test_report(small: Benchmark, scores: np.ndarray) -> None:
    results = bench(small, scores, ["mutual-rank", Pipeline([Counting(), Counting()])], k=5)
    found = rows(results)
    assert [row["pipeline"] for row in found] == [
        "first stage",
        "mutual-rank",
        "counting >> counting [1]",
        "counting >> counting [2]",
    ]
    assert found[1]["looks at"] == "test queries"
    assert found[0]["rsum"] == pytest.approx(results[0].summary["first"]["rsum"])
    shown = rows(results, ["text-to-image/success@1"])
    assert shown[0]["text-to-image/success@1"] == pytest.approx(
        100 * results[0].summary["first"]["text-to-image/success@1"]
    )
    for style in ("text", "md", "latex", "html"):
        assert "mutual-rank" in table(results, style=style)


def test_compare_refuses_what_is_not_alike(small: Benchmark, scores: np.ndarray, tmp_path: Path) -> None:
    five, six = (bench(small, scores, "mutual-rank", k=k)[0] for k in (5, 6))
    with pytest.raises(InputError, match=r"must re-rank the same candidates \(got 'mutual-rank' with K = 5"):
        compare_results([five, six])
    both = compare_results([five, six], allow_other_candidates=True, samples=200)
    assert len(both["image-to-text"].systems) == 3
    other = task("coco-5k").write_miniature(tmp_path / "coco").load(tmp_path / "coco")
    coco = bench(other, np.random.default_rng(0).random((10, 50)), "mutual-rank", k=5)[0]
    with pytest.raises(InputError, match="must be of one task on the same data"):
        compare_results([five, coco])
    with pytest.raises(InputError, match="'parts' must be parts of the task: image-to-text, text-to-image"):
        compare_results([five], parts=["fold 1"])
    with pytest.raises(InputError, match="at least one result"):
        compare_results([])


def test_a_default_that_changes_makes_a_new_result(small: Benchmark, scores: np.ndarray, tmp_path: Path) -> None:
    class Later(Sided):
        def __init__(self, rows: str = "texts") -> None:
            super().__init__(rows)

    (old,) = bench(small, scores, Sided(), k=5, out=tmp_path)
    (new,) = bench(small, scores, Later(), k=5, out=tmp_path)
    assert new.pipeline["text"] == old.pipeline["text"]
    assert new.key != old.key


def test_what_stands_beside_the_scores_counts(small: Benchmark, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    vectors = [random.random((size, 4), dtype=np.float32) for size in small.matrices["scores"].shape]
    banks = [random.random((size, 4), dtype=np.float32) for size in (3, 3)]
    problems = [Problem.from_embeddings(*vectors, query_bank=bank) for bank in (None, *banks, banks[0])]
    sums = [score_set(small, problem).checksums["scores"] for problem in problems]
    assert len(set(sums)) == 3
    assert sums[1] == sums[3]


def test_pipelines_are_told_apart_by_all_they_hold(tmp_path: Path) -> None:
    arrays = [np.zeros((2000, 2)), np.zeros((2000, 2))]
    arrays[1][1000] = 1  # numpy's text of both is the same
    np.save(tmp_path / "bank.npy", arrays[0])
    named = stage("csls", bank=str(tmp_path / "bank.npy"))
    sums = [contender(stage("csls", bank=array)).checksum for array in arrays]
    sums += [contender(stage("csls").top(k)).checksum for k in (3, 4)] + [contender(named).checksum]
    np.save(tmp_path / "bank.npy", arrays[1])
    assert len({*sums, contender(named).checksum}) == 6


class Card:
    """A stand-in for `torch.cuda` with one device."""

    def __init__(self) -> None:
        self.held, self.peak = 1_000_000, 9_000_000  # what was there before must not count

    def is_available(self) -> bool:
        return True

    def synchronize(self) -> None:
        pass

    def reset_peak_memory_stats(self) -> None:
        self.peak = self.held

    def memory_allocated(self) -> int:
        return self.held

    def max_memory_allocated(self) -> int:
        return self.peak

    def get_device_name(self) -> str:
        return "made-up card"

    def use(self, amount: int) -> None:
        self.peak = max(self.peak, self.held + amount)


class OnTheCard(Stage):
    """Holds memory of the device while it runs; `late` imports torch only then."""

    name = "on-the-card"
    card: Card
    late = False

    def rescore(self, problem, ranking):  # type: ignore[no-untyped-def]
        if self.late:
            sys.modules["torch"] = SimpleNamespace(cuda=self.card, Tensor=Card)  # type: ignore[assignment]
            self.card.held, self.card.peak = 0, 0  # nothing is on a device before torch is there
        self.card.use(5_000_000 if problem.shape[0] < problem.shape[1] else 2_000_000)
        return ranking.scores


@pytest.mark.parametrize("late", [False, True])
def test_rows_hold_the_memory_of_the_device(
    small: Benchmark, scores: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    monkeypatch.setattr(OnTheCard, "card", Card(), raising=False)
    monkeypatch.setattr(OnTheCard, "late", late)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=OnTheCard.card, Tensor=Card))
    if late:
        monkeypatch.delitem(sys.modules, "torch")
    (result,) = bench(small, scores, OnTheCard(), k=5, out=tmp_path)
    assert [part.stages[0].peak_gpu for part in result.parts] == [5_000_000, 2_000_000]
    assert result.environment["device"] == result.environment["gpu"] == "made-up card"
    assert rows([result])[-1]["GPU MB"] == 5
    assert "GPU MB" in table([result])
    (path,) = tmp_path.glob("*.json")
    assert Result.read(path).parts[0].stages[0].peak_gpu == 5_000_000


def test_columns_that_nothing_fills_are_not_shown(small: Benchmark, scores: np.ndarray) -> None:
    without = {name: module for name, module in sys.modules.items() if name != "torch"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "modules", without)
        results = bench(small, scores, Sided(), k=5)
    assert "GPU MB" in rows(results)[0]
    assert "GPU MB" not in table(results)
    assert "looks at" not in table(results)
    with pytest.raises(InputError, match=r"'figures' must be figures of the task: .*rsum \(got nonsense\)"):
        rows(results, ["nonsense"])


def test_how_a_finished_run_was_tuned_is_added(small: Benchmark, scores: np.ndarray, tmp_path: Path) -> None:
    bench(small, scores, Counting(), k=5, out=tmp_path)
    (result,) = bench(small, scores, Counting(), k=5, out=tmp_path, tuning={"counting": {"chosen": {}}})
    assert Counting.calls == 2
    (path,) = tmp_path.glob("*.json")
    assert Result.read(path).tuning == result.tuning == {"chosen": {}}


def test_pipelines_of_one_name_are_told_by_their_parameters(small: Benchmark, scores: np.ndarray) -> None:
    pipelines = [stage("csls"), stage("csls", neighbours=3), Sided() >> stage("csls")]
    results = [bench(small, scores, {"one": each}, k=5)[0] for each in pipelines]
    systems = compare_results(results, samples=200)["image-to-text"].systems
    assert systems[1:] == ("one: defaults", "one: neighbours=3", "one: stage('sided'), stage('csls')")
    again = compare_results([results[0], results[0]], samples=200)["image-to-text"].systems
    assert again[1:] == ("one: defaults", f"one: defaults ({results[0].key[:8]})")


def test_a_folder_that_cannot_be_written_is_told_before_the_work(
    small: Benchmark, scores: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    Counting.calls = 0
    with pytest.raises(InputError, match=r"cannot be written: '.*file' is not a folder"):
        bench(small, scores, Counting(), out=tmp_path / "file")
    assert Counting.calls == 0
