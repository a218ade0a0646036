"""From nothing to figures: both stages trained on drawn scenes, at the size that the documentation states."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import triplet_miniature


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_stage_two_is_well_above_stage_one(tmp_path):
    triplet_miniature.draw(tmp_path)
    result = triplet_miniature.run(tmp_path, triplet_miniature.ROWS["both"])
    first, second = (result.recall(stage, 1) for stage in ("stage I", "stage II"))
    assert second >= 85
    assert second >= first + 5
    assert result.interval("stage II")[0] > result.interval("stage I")[1]
    assert result.recall("stage I", triplet_miniature.DEPTH) >= 97


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("half", ["text only", "reference only"])
def test_half_a_query_is_not_enough(tmp_path, half):
    triplet_miniature.draw(tmp_path)
    result = triplet_miniature.run(tmp_path, triplet_miniature.ROWS[half])
    assert result.recall("stage II", 1) <= 25
