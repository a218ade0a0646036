"""YAML within limits, and in words."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rerankit import Pipeline, limits
from rerankit.errors import FormatError
from rerankit.reading import parse_yaml


def laughs(levels: int, item: str) -> str:
    """Lists of ten lists of ten lists …"""
    lines = [f"a0: &a0 {item}"]
    for level in range(1, levels):
        parts = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{parts}]" if item != "{x: 1}" else f"a{level}: &a{level} {{<<: [{parts}]}}")
    return "\n".join(lines) + "\n"


def nested(levels: int) -> str:
    """A list in 95 lists, which is in 95 lists …"""
    lists = (f"a{level}: &a{level} {'[' * 95}*a{level - 1}{']' * 95}" for level in range(1, levels))
    return "\n".join(["a0: &a0 1", *lists])


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (laughs(10, "[lol]"), "line [0-9]+: more than 2000000 values, repeated ones counted again"),
        (laughs(10, "{x: 1}"), "line [0-9]+: more than 2000000 values, repeated ones counted again"),
        ("a: &a [*a]", "an anchor holds itself"),
        ("a: &a {b: *a}", "an anchor holds itself"),
        ("[" * 150 + "]" * 150, "more than 100 lists and mappings in each other"),
        ("[" * 20_000, "line 1: more than 100 lists and mappings in each other"),
        (nested(60), "line 3: more than 100 lists and mappings in each other"),
        ("[" + "1," * 490_000 + "]", "line 1: more than 10000 values: rerankit.limits.using"),
        ("k: 1\nb: 2\nk: 3", "line 3: 'k' stands twice in a mapping"),
        ("stages: [{stage: a, stage: b}]", "'stage' stands twice in a mapping"),
        ("9" * 5000, "a number must have at most 100 digits"),
        (":".join(["1"] * 5000), "a number must have at most 100 digits"),
        ("!!python/object/apply:os.system ['touch ran']", "could not determine a constructor for the tag"),
        ("!!python/name:os.system", "could not determine a constructor for the tag"),
        ("!mine {a: 1}", "could not determine a constructor for the tag '!mine'"),
        ("!!int x", "invalid literal"),
        ("!!timestamp x", "not YAML"),
        ("2020-13-45", "month must be in"),
        ("!!bool x", "not YAML"),
        ("!!float ''", "not YAML"),
        ("? [a, b]\n: 1", "not YAML|hash"),
        ("{a: 1", "not YAML"),
        ("a\0b", "special characters are not allowed"),
        ("--- 1\n--- 2", "expected a single document"),
        ("*absent", "undefined alias"),
    ],
)
def test_what_is_refused(text: str, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    start = time.process_time()
    with pytest.raises(FormatError, match=rule) as caught:
        parse_yaml(text, "'p.yaml'")
    assert str(caught.value).startswith("'p.yaml' ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    assert time.process_time() - start < 5
    assert not list(tmp_path.iterdir())


def test_more_values_are_taken_when_they_are_allowed() -> None:
    text = f"[{'1, ' * 12_000}]"
    with limits.using(nodes=20_000):
        assert len(parse_yaml(text)) == 12_000


def test_aliases_that_stay_small_are_taken() -> None:
    assert parse_yaml(laughs(3, "[lol]"))["a2"][9][9] == ["lol"]
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, x: 2}") == {"a": {"x": 1}, "b": {"x": 2}}


def test_a_long_text_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("stages: [" + "csls, " * 300_000 + "]")
    with pytest.raises(FormatError, match="the size of the file must be at most 1000000"):
        Pipeline.from_yaml(tmp_path / "p.yaml")
    with limits.using(text=10), pytest.raises(FormatError, match="the size of the text must be at most 10"):
        parse_yaml("stages: [csls]")


def test_messages_show_the_beginning_of_what_is_long() -> None:
    with pytest.raises(FormatError) as caught:
        Pipeline.from_yaml("stages: {" + ", ".join(f"a{n}: [{'x' * 90}]" for n in range(500)) + "}")
    assert len(str(caught.value)) < 3000
