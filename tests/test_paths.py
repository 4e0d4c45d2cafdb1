"""Paths as people write them, and what lies under a folder."""

from __future__ import annotations

from pathlib import Path

from twinset.paths import pictures_under


def test_pictures_under_a_folder_are_in_order_and_none_is_hidden(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "b/10.png", "a.jpg", "._a.jpg", ".cache/c.png", "notes.txt", "folder.png/d.webp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = [path.relative_to(tmp_path).as_posix() for path in pictures_under(tmp_path)]
    assert found == ["a.jpg", "b/10.png", "b/2.PNG", "folder.png/d.webp"]
    assert pictures_under(tmp_path / "nowhere") == []
