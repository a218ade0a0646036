"""Settings, checks, optional packages, errors: the small modules everything uses."""

from __future__ import annotations

import numpy as np
import pytest

from rerankit import checks, errors, extras, settings


def test_memory_budget_from_environment(monkeypatch):
    assert settings.memory_budget() == 256_000_000
    monkeypatch.setenv("RERANKIT_MEMORY_BUDGET", "1.5 GiB")
    assert settings.memory_budget() == 1_610_612_736
    with settings.using(memory_budget=10):
        assert settings.memory_budget() == 10


@pytest.mark.parametrize("size", ["many", "0MB", -3, "1.2.3MB", "."])
def test_bad_budgets(size):
    with pytest.raises(errors.InputError, match="'memory_budget' must be"):
        settings.parse_bytes(size)


def test_checks():
    assert checks.integer("k", np.int64(3)) == 3
    assert checks.number("x", np.float32(0.5), above=0) == 0.5
    assert checks.choice("m", "a", ["a", "b"]) == "a"
    for bad in (True, 1.5, "3"):
        with pytest.raises(errors.InputError, match="'k' must be a whole number"):
            checks.integer("k", bad)
    for bad in (True, float("nan"), "3"):
        with pytest.raises(errors.InputError, match="'x' must be a finite number"):
            checks.number("x", bad)
    with pytest.raises(errors.InputError, match=r"'x' must be above 0 \(got 0\)"):
        checks.number("x", 0, above=0)
    with pytest.raises(errors.InputError, match=r"'x' must be at most 1 \(got 2\)"):
        checks.number("x", 2, most=1)


def test_a_missing_package_names_the_install_line(monkeypatch):
    with pytest.raises(errors.MissingExtraError, match=r"drawing needs the package 'nopackage'.*rerankit\[report\]"):
        extras.require("nopackage.part", extra="report", purpose="drawing")


def test_a_broken_package_is_not_called_absent(tmp_path, monkeypatch):
    (tmp_path / "brokenpackage.py").write_text("import nothing_like_this")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(errors.MissingExtraError, match="'brokenpackage' is installed but fails to import"):
        extras.require("brokenpackage", extra="report")


def test_unknown_names_without_choices():
    assert str(errors.unknown_name("stage", "x", [])) == "unknown stage 'x'; Known: (none)"
