"""Search sentence by sentence, with the weights that ship."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rerankit.demo import multi_query as demo
from rerankit.demo import shipped
from rerankit.demo.multi_query import ROUNDS, CanvasSearches, CountedWords
from rerankit.stages.hmrn.tokens import Vocabulary
from rerankit.training import TrainingSettings


def test_a_split_is_drawn_alike_each_time_and_unlike_the_others() -> None:
    one, again, other = (CanvasSearches.drawn(split, 5) for split in ("test", "test", "validation"))
    assert one.texts == again.texts != other.texts
    np.testing.assert_array_equal(one.regions[0], again.regions[0])


def test_counted_words_give_the_mean_region_by_ridge_regression() -> None:
    searches = CanvasSearches.drawn("validation", 40)
    vocabulary = Vocabulary.build(text for said in searches.texts for text in said)
    words = CountedWords.fitted(searches, vocabulary)
    # The same by scikit-learn's words: minimise |X W − Y|² + 10 |W|² over all rounds at once, solved by least squares.
    rows, wanted = [], []
    means = np.stack([each.mean(axis=0) for each in searches.regions])
    for rounds in range(1, ROUNDS + 1):
        for said, mean in zip(searches.texts, means, strict=True):
            counts = np.zeros(len(vocabulary))
            for text in said[:rounds]:
                for word in vocabulary.encode(text):
                    counts[word] += (word > 3) / rounds
            rows.append(counts)
            wanted.append(mean - means.mean(axis=0))
    said = np.array(rows) - np.mean(rows, axis=0)
    stacked = np.concatenate([said, np.sqrt(10) * np.eye(said.shape[1])])
    targets = np.concatenate([np.array(wanted), np.zeros((said.shape[1], means.shape[1]))])
    np.testing.assert_allclose(words.matrix, np.linalg.lstsq(stacked, targets)[0], atol=1e-5)


def test_each_sentence_helps_and_the_network_more_than_the_words() -> None:
    part = demo.section(count=60)
    rows = part.tables[0].rows
    assert [row["sentences"] for row in rows] == list(range(1, ROUNDS + 1))
    after = [row["after R@1"] for row in rows]
    assert after[0] < 30 < 80 < after[-1]
    assert all(row["before R@1"] <= row["after R@1"] + 5 for row in rows)
    assert all(row["after R@5"] <= row["ceiling"] for row in rows)
    assert "SHA-256" in part.card


def test_a_story_has_every_sentence_and_the_ranks_it_led_to() -> None:
    part = demo.section(count=40)
    asked = CanvasSearches.drawn("test", 40)
    for story in part.stories:
        row = story.rounds[0].row
        assert story.texts == tuple(asked.texts[row])
        assert story.sought.picture is not None
        for each in story.rounds:
            places = [place for place, found in enumerate(each.after, 1) if found.right]
            assert places == ([each.ranks[1]] if each.ranks[1] <= len(each.after) else [])


def test_weights_of_half_precision_answer_as_those_that_were_written(tmp_path: Path) -> None:
    arrays = shipped.weights(demo.NAME)
    path = shipped.write(tmp_path / "again.safetensors", arrays)
    again = shipped.read(path)
    assert path.read_bytes() == (shipped.FOLDER / f"{demo.NAME}.safetensors").read_bytes()
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)


def test_training_goes_through_the_loop_and_gives_weights_of_the_same_form(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo, "PICTURES", {"train": 40, "validation": 10, "test": 12})
    monkeypatch.setattr(demo, "SETTINGS", TrainingSettings(epochs=1, batch_size=20, device="cpu"))
    arrays, histories = demo.train(tmp_path / "run")
    assert set(arrays) == set(shipped.weights(demo.NAME))
    assert histories["hmrn"].rows
    assert list((tmp_path / "run").rglob("curves.png"))
    part = demo.section(arrays, histories=histories)
    assert [each.title for each in part.charts] == ["With every sentence", "How 'hmrn' was trained"]
    assert part.card == ""
