from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rerankit.errors import UnknownNameError
from rerankit.plots import THEMES, Theme, inline, save

pytest.importorskip("matplotlib", reason="the extra report is not installed")


def draw(figure: Any, theme: Theme) -> None:
    axes = figure.subplots()
    axes.plot([1, 2, 3], [3, 1, 2], label="a line")
    axes.plot([2], [1], "o", color=theme.loss, gid="point@s1")
    axes.set(title="A <title>", xlabel="step")


def test_a_file_has_the_theme_and_the_format_that_were_asked_for(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="the extra report is not installed")
    for theme, paper in (("light", (255, 255, 255)), ("dark", (20, 24, 30))):
        with image.open(save(draw, tmp_path / f"{theme}.png", (4, 3), theme)) as picture:
            assert picture.convert("RGB").getpixel((1, 1)) == paper
            assert picture.size == (520, 390)
    assert "<svg" in save(draw, tmp_path / "a.svg", (4, 3)).read_text(encoding="utf-8")
    with pytest.raises(UnknownNameError, match="unknown theme 'grey'"):
        save(draw, tmp_path / "b.png", (4, 3), "grey")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.svg", "dark.png", "light.png"]


def test_inside_a_page_the_page_decides_the_colours() -> None:
    text = inline(draw, (4, 3), "one", {"point@s1": 'a "point"'})
    assert text.startswith("<svg")
    assert text.endswith("</svg>")
    assert set(re.findall(r"#[0-9a-f]{6}\b", text)) == set()
    assert {"ink", "grid", "alone", "loss"} <= set(re.findall(r"var\(--(\w+)\)", text)) <= set(vars(THEMES["light"]))
    assert '<g class="mark" data-system="s1" data-tip="a &quot;point&quot;">' in text
    assert "A &lt;title&gt;" in text
    assert "<style" not in text
    assert 'style="width:384px"' in text
    assert inline(draw, (4, 3), "one", {"point@s1": 'a "point"'}) == text


def test_pictures_of_one_page_share_no_ids() -> None:
    one, two = (set(re.findall(r'\bid="([^"]+)"', inline(draw, (4, 3), name))) for name in ("one", "two"))
    assert one
    assert not one & two
