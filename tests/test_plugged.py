from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from twinset.plugged import entries


def test_installed_packages_are_looked_through_once_for_a_path_of_modules(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def counted(*, group: str) -> list[metadata.EntryPoint]:
        asked.append(group)
        return [metadata.EntryPoint("mine", "my.module:Mine", group)]

    monkeypatch.setattr(metadata, "entry_points", counted)
    for _ in range(3):
        assert list(entries("editors", {"ours": "twinset:x"})) == ["ours", "mine"]
    assert asked == ["twinset.editors"]
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert entries("editors", {})["mine"].target == "my.module:Mine"
    assert len(asked) == 2


def test_what_is_installed_beside_the_path_of_modules_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "late" not in entries("editors", {})
    facts = tmp_path / "late-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: late\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[twinset.editors]\nlate = late:Late\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    found = entries("editors", {})["late"]
    assert (found.distribution, found.version, found.target) == ("late", "1.0", "late:Late")
