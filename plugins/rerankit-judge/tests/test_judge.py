"""Judges that are functions, with and without a taste for places, and a small chat model that is made here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rerankit_judge
from rerankit import Problem, errors, load, rerank, stages_available
from rerankit.plugins import manager
from rerankit.testing import STAGE_CHECKS, make_problem
from rerankit_judge.cache import Cache
from rerankit_judge.chat import ChatModel, numbers
from rerankit_judge.listwise import ListwiseJudge, windows
from rerankit_judge.pairwise import PairwiseJudge


def worth(query: str, item: str) -> float:
    """A number that depends on both texts, and is not that of the scores."""
    return (sum(map(ord, query)) * 31 + sum(map(ord, item)) * 17) % 101


def by_worth(query: str, items: list[str]) -> list[int]:
    return sorted(range(len(items)), key=lambda at: -worth(query, items[at]))


def better(query: str, one: str, other: str) -> float:
    return 0.5 + 0.5 * float(np.sign(worth(query, one) - worth(query, other)))


def likes_the_first(query: str, items: list[str]) -> list[int]:
    return list(range(len(items)))


def likes_a(query: str, one: str, other: str) -> float:
    return 1.0


def problem_with_texts(queries: int, gallery: int, seed: int) -> Problem:
    random = np.random.default_rng(seed)

    def texts(count: int) -> list[str]:
        return ["".join(chr(97 + letter) for letter in random.integers(0, 26, 6)) for _ in range(count)]

    problem = make_problem(queries, gallery, seed)
    return problem.with_features(query_features={"text": texts(queries)}, gallery_features={"text": texts(gallery)})


# A function cannot be saved; the name of a model can: test_a_model_is_saved_by_its_name.
CHECKS = [check for check in STAGE_CHECKS if check.__name__ != "check_save"]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("stage", [lambda: ListwiseJudge(by_worth, window=4, step=2), lambda: PairwiseJudge(better)])
def test_conformance(stage: Any, check: Any) -> None:
    check(stage, problem_with_texts)


def exact(problem: Problem, k: int) -> list[list[int]]:
    """Candidates by worth alone, ties in the order that came."""
    queries, items = problem.query_features["text"], problem.gallery_features["text"]
    return [
        sorted(row, key=lambda item, query=queries[at]: -worth(query, items[item]))
        for at, row in enumerate(problem.ranking(k).indices.tolist())
    ]


def test_a_window_over_all_is_the_judges_order():
    problem = problem_with_texts(5, 30, 0)
    for stage in (ListwiseJudge(by_worth, window=12), PairwiseJudge(better)):
        assert rerank(problem, stage, k=12).indices.tolist() == exact(problem, 12)


def test_windows_bring_the_best_to_the_front():
    problem = problem_with_texts(5, 40, 1)
    found = rerank(problem, ListwiseJudge(by_worth, window=8, step=4), k=40).indices
    assert found[:, :4].tolist() == [row[:4] for row in exact(problem, 40)]  # what fits into the overlap
    often = rerank(problem, ListwiseJudge(by_worth, window=8, step=4, passes=10), k=40).indices
    assert often.tolist() == exact(problem, 40)
    assert windows(40, 8, 4)[-2:] == [4, 0]


def test_a_judge_that_only_likes_places_changes_nothing():
    problem = problem_with_texts(3, 20, 2)
    for stage in (ListwiseJudge(likes_the_first), PairwiseJudge(likes_a)):
        assert rerank(problem, stage, k=15) == problem.ranking(15).with_scores(rerank(problem, stage, k=15).scores)
    turned = rerank(problem, ListwiseJudge(lambda query, items: [len(items) - 1, 0], both_ways=False), k=3)
    assert turned.indices[:, 0].tolist() == problem.ranking(3).indices[:, 2].tolist()


def test_a_taste_for_places_is_taken_away_where_something_is_known():
    """A judge that knows which of two is better, but sees the first as three times as good."""
    problem = problem_with_texts(4, 12, 3)

    def biased(query: str, one: str, other: str) -> float:
        first, second = 3.0 * (1 + worth(query, one)), 1 + worth(query, other)
        return first / (first + second)

    alone = rerank(problem, PairwiseJudge(biased, both_ways=False), k=12)
    both = rerank(problem, PairwiseJudge(biased), k=12)
    right = exact(problem, 12)
    assert both.indices.tolist() == right
    assert alone.indices.tolist() != right


def counting(judge: Any) -> Any:
    def counted(*given: Any) -> Any:
        counted.calls += 1
        return judge(*given)

    counted.calls, counted.name = 0, judge.__name__
    return counted


@pytest.mark.parametrize(("kind", "judge"), [(ListwiseJudge, by_worth), (PairwiseJudge, better)])
def test_budget_and_cache(kind: Any, judge: Any, tmp_path: Path):
    problem = problem_with_texts(3, 20, 4)
    judge = counting(judge)
    stage = kind(judge, budget=5)
    first = rerank(problem, stage, k=20)
    assert judge.calls <= 5 * 3
    noted = first.notes[stage.name]
    assert (noted["calls"], noted["known"]) == (judge.calls, 0)
    assert noted["out_of_budget"] == 3
    assert rerank(problem, kind(judge), k=20).notes[stage.name]["out_of_budget"] == 0
    judge.calls = noted["calls"]
    again = rerank(problem, stage, k=20)
    assert again == first  # and not a step further, though every answer is known
    assert again.notes[stage.name]["calls"] == 0
    assert judge.calls == first.notes[stage.name]["calls"]
    file = str(tmp_path / "said.sqlite")
    kept = rerank(problem, kind(judge, cache=file), k=4)
    before = judge.calls
    assert rerank(problem, kind(judge, cache=file), k=4) == kept
    assert judge.calls == before
    (tmp_path / "other").write_text("no database at all, but a text of some length" * 50)
    with pytest.raises(errors.RerankitError, match="is no cache of judgements"):
        rerank(problem, kind(judge, cache=str(tmp_path / "other")), k=6)


def test_threads_share_a_file(tmp_path: Path):
    cache = str(tmp_path / "said.sqlite")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda at: Cache(cache).put(str(at % 5), [float(at % 5)]), range(40)))
    assert [Cache(cache).get(str(at)) for at in range(6)] == [[0.0], [1.0], [2.0], [3.0], [4.0], None]


@pytest.mark.parametrize("said", [[0, 0], [3], "ab", None, [-1]])
def test_an_answer_that_is_no_order(said: Any):
    with pytest.raises(errors.StageError, match="'judge' must return different places from 0 to 1"):
        rerank(problem_with_texts(1, 5, 0), ListwiseJudge(lambda query, items: said), k=2)


@pytest.mark.parametrize("said", [2, -0.1, "much", float("nan")])
def test_an_answer_that_is_no_chance(said: Any):
    with pytest.raises(errors.StageError, match="'judge' must return a number from 0 to 1"):
        rerank(problem_with_texts(1, 5, 0), PairwiseJudge(lambda *given: said), k=2)


def test_bad_parameters_are_refused():
    for bad, told in {
        "judge": ({"judge": 3}, "'judge' must be a function"),
        "step": ({"judge": by_worth, "step": 11}, "'step' must be at most 10"),
        "budget": ({"judge": by_worth, "budget": 0}, "'budget' must be at least 1"),
    }.values():
        with pytest.raises(errors.InputError, match=told):
            ListwiseJudge(**bad)
    with pytest.raises(errors.UnmetNeedError, match="needs query_features:question"):
        rerank([[0.1, 0.2]], ListwiseJudge(by_worth, query="question"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A chat model of a few hundred weights, which knows bytes."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    alphabet = [*(chr(code) for code in range(32, 127)), "\n", "<end>", "<unknown>"]
    words = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({letter: at for at, letter in enumerate(alphabet)}, unk_token="<unknown>")
    )
    words.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    folder = tmp_path_factory.mktemp("model")
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", unk_token="<unknown>")
    made.chat_template = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
    made.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(alphabet), n_positions=512, n_embd=16, n_layer=1, n_head=2, bos_token_id=96, eos_token_id=96
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return str(folder)


@pytest.mark.filterwarnings("ignore")
def test_a_chat_model_judges(model: str):
    chat = ChatModel(model)
    forward, back = chat.preference("q", "one", "other"), chat.preference("q", "other", "one")
    assert 0 < forward < 1
    assert forward != back
    problem = problem_with_texts(2, 6, 0)
    assert rerank(problem, ListwiseJudge(model), k=4).notes["listwise-judge"]["calls"] == 4
    found = rerank(problem, PairwiseJudge(model), k=2)
    queries, items = problem.query_features["text"], problem.gallery_features["text"]
    for row, (one, other) in enumerate(problem.ranking(2).indices.tolist()):
        chances = [chat.preference(queries[row], items[a], items[b]) for a, b in ((one, other), (other, one))]
        assert found.indices[row, 0] == (one if chances[0] >= chances[1] else other)


@pytest.fixture
def registered():
    """The plugin, before it is installed too."""
    known = "listwise-judge" in stages_available()
    if not known:
        manager().register(rerankit_judge, "judge under test")
    yield
    if not known:
        manager().unregister("judge under test")


@pytest.mark.usefixtures("registered")
def test_a_model_is_saved_by_its_name(tmp_path: Path):
    stage = PairwiseJudge("somebody/model", budget=9)
    stage.save(tmp_path / "saved")
    with pytest.raises(errors.FormatError, match="names a model outside of its folder, judge='somebody/model'"):
        load(tmp_path / "saved")
    assert load(tmp_path / "saved", trust=True) == stage
    with pytest.raises(errors.InputError, match="parameter 'judge' cannot be saved"):
        PairwiseJudge(better).save(tmp_path / "function")


def test_a_reply_is_read_as_far_as_it_is_one():
    assert numbers("2, 1 and then 2 again, not 7", 3) == [1, 0]
    assert numbers("I cannot say", 3) == []


def test_the_hooks_register_these_names():
    names: dict[str, str] = {}
    rerankit_judge.rerankit_register_stages(names.__setitem__)
    assert set(names) == {"listwise-judge", "pairwise-judge"}
