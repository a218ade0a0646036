from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

import pillar_naive
import rerankit
from rerankit import Bank, ListScores, Looks, Problem
from rerankit.errors import InputError, NotFittedError, UnmetNeedError
from rerankit.stages.pillar import inference
from rerankit.stages.pillar.network import PillarNetwork
from rerankit.stages.pillar.relations import Nearest, Relations
from rerankit.stages.pillar.representation import PillarSpace
from strategies import distinct, full_problem

SIZES = {"pillars": 5, "neighbours": 4, "width": 12, "heads": 3, "candidates": (6, 4), "threshold": (0.05, 0.1)}
QUERIES, ITEMS = 14, 20


def fitted(name="pillar", **params):
    stage = rerankit.stage(name, **{**SIZES, **params})
    with torch.random.fork_rng():
        torch.manual_seed(1)
        stage.set_weights({key: tensor.numpy() for key, tensor in stage.build().state_dict().items()})
    return stage


def embedded(queries=QUERIES, items=ITEMS, width=6, **rest):
    generator = np.random.default_rng(5)
    vectors = [generator.normal(size=(count, width)).astype(np.float32) for count in (queries, items)]
    return Problem.from_embeddings(*vectors, **rest)


def dense(problem):
    return Problem(
        problem.scores.rows(), query_scores=problem.query_scores.rows(), gallery_scores=problem.gallery_scores.rows()
    )


def naive_scores(stage, problem):
    scores, query_scores, gallery_scores = (
        one.rows() for one in (problem.scores, problem.query_scores, problem.gallery_scores)
    )
    prefix = f"model_{stage.direction}."
    state = {k.removeprefix(prefix): torch.tensor(v) for k, v in stage.get_weights().items() if k.startswith(prefix)}
    at = ("i2t", "t2i").index(stage.direction)
    found = []
    for query in range(len(scores)):
        matrices = scores, query_scores, gallery_scores, query, stage.candidates[at]
        x = torch.tensor(pillar_naive.describe(*matrices, stage.pillars))
        graph = torch.tensor(pillar_naive.graph(*matrices, stage.neighbours, stage.threshold[at]))
        found.append(pillar_naive.network_scores(state, x, graph, stage.heads))
    return torch.stack(found).numpy()


def test_repr():
    assert repr(rerankit.stage("pillar")) == "stage('pillar')"
    assert repr(fitted("pillar-small").reversed()) == (
        "stage('pillar-small', direction='t2i', candidates=(6, 4), pillars=5, neighbours=4, threshold=(0.05, 0.1), "
        "width=12, heads=3)"
    )


@pytest.mark.parametrize("form", ["dense", "graph"])
def test_scores_are_those_of_the_naive_form(form):
    problem = dense(embedded())
    for one, stage in ((problem, fitted(form=form)), (problem.reversed(), fitted(form=form).reversed())):
        first = one.ranking(stage.candidates[("i2t", "t2i").index(stage.direction)])
        with torch.no_grad():
            expected = naive_scores(stage, one)
        np.testing.assert_allclose(stage.rescore(one, first), expected, atol=1e-5)


def test_the_rest_keeps_its_order_behind_the_candidates():
    problem = embedded()
    first = problem.ranking()
    result = fitted().rerank(problem, first)
    assert result.shape == first.shape
    assert np.array_equal(np.sort(result.indices[:, :6]), np.sort(first.indices[:, :6]))
    assert np.array_equal(result.indices[:, 6:], first.indices[:, 6:])
    assert not np.array_equal(result.indices[:, :6], first.indices[:, :6])


BANKS = {name: np.random.default_rng(8).normal(size=(9, 6)) for name in ("query_bank", "gallery_bank")}


@pytest.mark.parametrize("banks", [(), ("query_bank",), ("gallery_bank",), ("query_bank", "gallery_bank")])
def test_both_directions_at_once_equal_each_alone(banks):
    problem, stage = embedded(**{name: BANKS[name] for name in banks}), fitted()
    there, back = stage.rerank_both(problem, k=15)
    for found, one, name in (
        (there, (problem, stage), "query_bank"),
        (back, (problem.reversed(), stage.reversed()), "gallery_bank"),
    ):
        expected = rerankit.rerank(*one, k=15)
        assert found == expected
        assert found.notes["looks_at"] == expected.notes["looks_at"]
        assert expected.notes["looks_at"] == Looks(queries=name not in banks, bank=name in banks, labels=True)


def test_a_bank_of_the_stage_is_of_one_direction():
    held = fitted(bank=embedded(**BANKS).query_bank)
    assert rerankit.rerank(embedded(), held).notes["looks_at"] == Looks(bank=True, labels=True)
    with pytest.raises(InputError, match="'bank' holds other queries of this direction alone"):
        held.rerank_both(embedded())


def test_small_is_the_same_stage_with_other_defaults():
    own, small = (rerankit.stage(name).get_params() for name in ("pillar", "pillar-small"))
    assert list(own) == list(small)
    assert {name: value for name, value in small.items() if value != own[name]} == {
        **{"candidates": (31, 15), "pillars": 32, "threshold": (0.025, 0.05)},
        **{"width": 128, "heads": 4, "expansion": 2},
    }
    assert repr(rerankit.stage("pillar-small", width=128, layers=3)) == "stage('pillar-small', layers=3)"
    assert rerankit.stage("pillar-small").clone(heads=8).width == 128
    with pytest.raises(InputError, match="stage 'pillar-small': got an unexpected keyword argument 'widht'"):
        rerankit.stage("pillar-small", widht=2)


def test_every_form_of_scores_gives_the_same_ranking(tmp_path):
    problem = embedded()
    whole = dense(problem)
    names = ("scores", "query_scores", "gallery_scores")
    for name in names:
        np.save(tmp_path / f"{name}.npy", getattr(whole, name).rows())
    maps = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in names]
    mapped = Problem(maps[0], query_scores=maps[1], gallery_scores=maps[2])
    lists = [ListScores(*getattr(whole, name).topk(99), getattr(whole, name).shape[1]) for name in names]
    listed = Problem(lists[0], query_scores=lists[1], gallery_scores=lists[2])
    stage = fitted()
    expected = stage.rerank(whole, whole.ranking(8))
    for other in (problem, mapped, listed):
        found = stage.rerank(other, other.ranking(8))
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)


def test_short_lists_are_completed_and_shorter_rankings_masked():
    whole = dense(embedded())
    lists = [
        ListScores(*scores.topk(k), scores.shape[1])
        for scores, k in ((whole.scores, 4), (whole.query_scores, 3), (whole.gallery_scores, 3))
    ]
    problem = Problem(lists[0], query_scores=lists[1], gallery_scores=lists[2])
    first = problem.ranking(6)
    result = fitted().rerank(problem, first)
    assert np.array_equal(result.mask, first.mask)
    assert np.isfinite(result.scores[result.mask]).all()


@pytest.mark.parametrize("form", ["dense", "graph"])
def test_absent_candidates_change_nothing(form):
    problem = dense(embedded())
    stage = fitted(form=form)
    short = problem.ranking(4)
    padded = rerankit.Ranking(
        np.pad(short.indices, ((0, 0), (0, 2)), constant_values=-1),
        np.pad(short.scores, ((0, 0), (0, 2)), constant_values=-np.inf),
        gallery_size=ITEMS,
    )
    np.testing.assert_allclose(stage.rescore(problem, padded)[:, :4], stage.rescore(problem, short), atol=1e-5)


def test_blocks_and_shards_change_no_bit():
    problem = embedded(queries=150)
    stage = fitted()
    first = problem.ranking(6)
    whole = stage.rescore(problem, first)
    with rerankit.settings.using(memory_budget=1):
        assert np.array_equal(stage.rescore(problem, first), whole)


@pytest.mark.parametrize("count", [150, 30, 5])
def test_how_many_threads_torch_uses_changes_no_bit(count):
    problem, usual = (
        embedded(queries=150, query_bank=np.random.default_rng(8).normal(size=(9, 6))),
        torch.get_num_threads(),
    )
    part, found = problem.subset(queries=range(count)), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            stage = fitted()  # what was tried before is not known
            found += [stage.rescore(one, one.ranking(6))[:count] for one in (problem, part)]
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(usual)
    assert all(np.array_equal(found[0], other) for other in found)


def test_only_candidates_of_a_large_gallery_are_looked_up():
    problem = dense(embedded(queries=3, items=200))
    relations = Relations.of(problem)
    candidates = problem.ranking(6).indices
    few = Nearest.of(relations, 5, 4, candidates)
    assert len(few.gallery_gallery) == len(np.unique(candidates))
    one, other = PillarSpace(relations, few, 5, 4), PillarSpace.of(relations, 5, 4)
    rows = np.arange(3)
    for ours, theirs in zip(one.lists(rows, candidates), other.lists(rows, candidates), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_bank_takes_the_place_of_the_other_queries():
    stage, extra = fitted(), np.random.default_rng(8).normal(size=(9, 6))
    problem = embedded(query_bank=extra)
    assert stage.looks_at(problem) == Looks(bank=True, labels=True)
    assert stage.looks_at(embedded()) == Looks(queries=True, labels=True)
    assert stage.clone(bank="queries").looks_at(problem) == Looks(queries=True, labels=True)
    whole = stage.rerank(problem, problem.ranking(6))
    part = problem.subset(queries=[3, 4])
    assert stage.rerank(part, part.ranking(6)) == whole.take([3, 4])
    held = stage.clone(bank=problem.query_bank)
    assert not held.looks_at(embedded()).queries
    assert held.rerank(embedded(), problem.ranking(6)) == whole


def test_a_bank_of_the_queries_themselves_differs_only_by_the_query_in_its_own_lists():
    """Pillars looked up in a bank are those looked up among the queries, but for the query itself."""
    problem = dense(embedded())
    bank = Bank(to_gallery=problem.scores, to_queries=problem.query_scores)
    own = PillarSpace.of(Relations.of(problem), 5, 4).columns(np.arange(QUERIES))[1]
    banked = PillarSpace.of(Relations.of(problem, bank), 5, 4).columns(np.arange(QUERIES))[1]
    assert np.array_equal(banked[:, 0], np.arange(QUERIES))
    assert np.array_equal(banked[:, 1:], own[:, :-1])


def test_without_query_scores_a_bank_is_enough():
    problem = embedded(query_bank=np.random.default_rng(8).normal(size=(9, 6)))
    only = Problem(problem.scores, gallery_scores=problem.gallery_scores, query_bank=problem.query_bank)
    stage = fitted()
    np.testing.assert_allclose(
        stage.rerank(only, only.ranking(6)).scores, stage.rerank(problem, problem.ranking(6)).scores, atol=1e-5
    )


# -- bad and unusual input -------------------------------------------------------------------------------


@pytest.mark.parametrize("same", [True, False])
def test_a_query_of_a_prepared_gallery_costs_its_own_network_where_that_gives_the_same_bits(same, monkeypatch):
    generator = np.random.default_rng(0)
    items, old, queries = (generator.normal(size=(count, 6)) for count in (ITEMS, 9, 5))
    stage = fitted(direction="t2i", bank=None)
    batch = rerankit.rerank(Problem.from_embeddings(queries, items, query_bank=old), stage, k=8)
    ready = rerankit.prepare(stage, rerankit.Gallery(items, bank=old))
    tried = inference._same_alone
    monkeypatch.setattr(inference, "_same_alone", lambda network, inputs: tried(network, inputs) and same)
    monkeypatch.setattr(Nearest, "of", None)  # the gallery's lists are known
    sizes = []
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, given: sizes.append(len(given[0])) if isinstance(module, PillarNetwork) else None
    )
    try:
        ready.rerank(queries[0], k=8)  # tries
        sizes.clear()
        alone = [ready.rerank(query, k=8) for query in queries]
    finally:
        hook.remove()
    assert rerankit.Ranking.concat(alone) == batch
    own = same and inference._tried[stage.network].popitem()[1]  # some ways of several threads go by the size
    assert sizes == [1 if own else inference.GROUP] * 5


def test_missing_matrices_are_named_with_the_reason():
    stage = fitted()
    with pytest.raises(UnmetNeedError) as caught:
        rerankit.rerank(Problem(distinct(5, 6)), stage)
    assert "needs gallery_scores: give Problem(…, gallery_scores=…)" in str(caught.value)
    assert "needs query_scores: give Problem(…, query_scores=…)" in str(caught.value)
    half = Bank(to_gallery=distinct(3, 6))
    problem = Problem(distinct(5, 6), gallery_scores=np.eye(6), query_bank=half)
    with pytest.raises(
        UnmetNeedError, match=r"needs query_bank:to_queries: give Problem\(…, query_bank=rerankit.Bank\(to_queries=…"
    ):
        rerankit.rerank(problem, stage)
    with pytest.raises(UnmetNeedError, match="pillars need 'to_queries' of the bank, too"):
        Relations.of(problem, half)


def test_not_fitted():
    problem = full_problem()
    stage = rerankit.stage("pillar", **SIZES)
    with pytest.raises(UnmetNeedError, match="needs weights: call its fit"):
        rerankit.rerank(problem, stage)
    one = {k: v for k, v in fitted().get_weights().items() if k.startswith("model_i2t.")}
    stage.set_weights(one)
    with pytest.raises(UnmetNeedError, match="fitted for i2t alone, not for t2i"):
        rerankit.rerank(problem, stage.reversed())
    with pytest.raises(NotFittedError, match="no weights for t2i"):
        stage.reversed().rescore(problem, problem.ranking(3))


def test_more_candidates_and_pillars_than_items():
    problem = full_problem(queries=4, items=3)
    stage = fitted(candidates=50, pillars=64, neighbours=10)
    result = rerankit.rerank(problem, stage)
    assert result.shape == (4, 3)
    # The last pillar of a side that is too small is repeated.
    space = PillarSpace.of(Relations.of(problem), 6, 2)
    inter, intra = space.columns(np.arange(4))
    assert (inter[:, 2:] == inter[:, 2:3]).all()
    assert (intra[:, 2:] == intra[:, 2:3]).all()


def test_one_pillar_is_the_query_alone():
    problem = dense(embedded())
    stage = fitted(pillars=1)
    first = problem.ranking(6)
    np.testing.assert_allclose(stage.rescore(problem, first), naive_scores(stage, problem), atol=1e-5)


def test_one_query_and_one_item():
    problem = full_problem(queries=1, items=4)
    assert rerankit.rerank(problem, fitted()).shape == (1, 4)
    x = PillarSpace.of(Relations.of(problem), 3, 2).describe(np.array([0]), np.array([[0, 1]]))
    assert np.array_equal(x[:, :, 3], x[:, :, 4])  # no other query: the query stands for its intra pillars
    tiny = full_problem(queries=1, items=1)
    assert rerankit.rerank(tiny, fitted()).indices.tolist() == [[0]]


def test_duplicate_items_share_a_score():
    generator = np.random.default_rng(2)
    vectors = generator.normal(size=(8, 5))
    gallery = np.concatenate([vectors[:4], vectors[:4]])
    problem = Problem.from_embeddings(vectors, gallery)
    result = rerankit.rerank(problem, fitted(candidates=8))
    scores = result.to_dense()
    np.testing.assert_allclose(scores[:, :4], scores[:, 4:], atol=1e-5)
    twins = Problem.from_embeddings(np.repeat(vectors[:1], 6, axis=0), gallery)
    assert np.isfinite(rerankit.rerank(twins, fitted()).scores).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"heads": 5}, "'heads' must divide the width, 12"),
        ({"candidates": 0}, "'candidates' must be at least 1"),
        ({"candidates": (1, 2, 3)}, r"'candidates' must be one number, or two \(i2t, t2i\)"),
        ({"threshold": 1.5}, "'threshold' must be at most 1"),
        ({"direction": "a2b"}, "unknown direction 'a2b'"),
        ({"form": "sparse"}, "unknown form 'sparse'"),
        ({"precision": "int8"}, "unknown precision 'int8'"),
        ({"bank": 3}, "'bank' must be None, 'queries' or a rerankit.Bank"),
        ({"bank": np.eye(3)}, "'bank' must be None, 'queries' or a rerankit.Bank"),
        ({"pillars": 0}, "'pillars' must be at least 1"),
        ({"both": "no"}, "'both' must be true or false"),
        ({"bias": 1}, "'bias' must be true or false"),
        ({"compile": "yes"}, "'compile' must be true or false"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(InputError, match=message):
        rerankit.stage("pillar", **{**SIZES, **params})


def test_foreign_weights_are_refused():
    stage = fitted()
    with pytest.raises(InputError, match=r"'weights' must be named model_i2t\.… or model_t2i"):
        rerankit.stage("pillar").set_weights({"layer.weight": np.ones(2)})
    other = rerankit.stage("pillar", **{**SIZES, "width": 24})
    other.set_weights(stage.get_weights())
    problem = full_problem()
    with pytest.raises(InputError, match="the weights do not fit the sizes of stage"):
        other.rescore(problem, problem.ranking(3))


def test_the_stage_needs_no_torch_to_be_made():
    code = "import sys, rerankit; rerankit.stage('pillar'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_half_precision_keeps_the_order_of_clear_cases():
    problem = embedded(queries=40)
    first = problem.ranking(6)
    full, half = (fitted(precision=precision).rescore(problem, first) for precision in ("float32", "bf16"))
    np.testing.assert_allclose(full, half, atol=2e-2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
def test_cuda_agrees_with_the_cpu(precision):
    problem = embedded(queries=500, items=600, width=16)
    sizes = {"candidates": 31, "pillars": 64, "neighbours": 10, "width": 768, "heads": 24}
    first = problem.ranking(31)
    cpu = fitted(**sizes, device="cpu").rescore(problem, first)
    cuda = fitted(**sizes, device="cuda", precision=precision).rescore(problem, first)
    np.testing.assert_allclose(cpu, cuda, atol=1e-4 if precision == "float32" else 1e-2)
    assert (cpu.argmax(axis=1) == cuda.argmax(axis=1)).mean() >= 0.999


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # of the compiler's own modules
def test_compiled_gives_the_same():
    problem = embedded(queries=80)
    first = problem.ranking(6)
    plain, compiled = (fitted(compile=flag).rescore(problem, first) for flag in (False, True))
    np.testing.assert_allclose(plain, compiled, atol=1e-5)
