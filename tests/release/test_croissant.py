from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from twinset.dataset import Dataset
from twinset.release import AuditResult, Export, Parent, RedactionNote, Release, croissant

MakeRelease = Callable[..., Release]
CLASSES = ("cat", "<b>dog</b> | *x*")
FORMATS = ("imagefolder", "webdataset", "parquet", "csv")


def written(folder: Path, release: Release) -> Path:
    path = folder / "croissant.json"
    path.write_text(croissant(release), encoding="utf-8")
    return path


@pytest.mark.slow
def test_reference_reader_finds_no_fault_and_reads_every_format(
    tmp_path: Path,
    make_release: MakeRelease,
    exported: Callable[[str], Export],
    twin: Dataset,
    mlcroissant: ModuleType,
) -> None:
    path = written(tmp_path, make_release(exports=tuple(exported(kind) for kind in FORMATS)))
    dataset = mlcroissant.Dataset(jsonld=str(path))
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert [warning for warning in issues.warnings if "schema.org/license" not in warning] == []
    names = ("imagefolder", "webdataset", "parquet", "csv", "webdataset-label", "classes")
    rows = {name: list(dataset.records(name)) for name in names}
    expected = Counter(sample.pixels().tobytes() for sample in twin)
    for kind in FORMATS:
        assert Counter(pixels_of(row[f"{kind}/image"]) for row in rows[kind]) == expected
    assert sorted(row["parquet/label"] for row in rows["parquet"]) == [0] * 5 + [1] * 5
    assert sorted(int(row["webdataset-label/label"]) for row in rows["webdataset-label"]) == [0] * 5 + [1] * 5
    assert Counter(row["csv/label"] for row in rows["csv"]) == {b"cat": 5, twin.classes[1].encode(): 5}
    assert Counter(row["imagefolder/label"] for row in rows["imagefolder"]) == {b"cat": 5, twin.classes[1].encode(): 5}
    assert [row["classes/name"] for row in rows["classes"]] == list(twin.classes)


def pixels_of(value: object) -> bytes:
    picture = Image.open(io.BytesIO(value)) if isinstance(value, bytes) else value
    return np.asarray(picture, dtype=np.uint8).tobytes()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_file_is_listed_with_its_digest(
    tmp_path: Path, make_release: MakeRelease, exported: Callable[[str], Export], kind: str
) -> None:
    export = exported(kind)
    document = json.loads(croissant(make_release(exports=(export,))))
    files = [node for node in document["distribution"] if node["@type"] == "cr:FileObject"]
    on_disk = [path for path in (tmp_path / "export").rglob("*") if path.is_file()]
    assert len(files) == len(on_disk) == len(export.files)
    urls = [node["contentUrl"] for node in files]
    assert {unquote(url) for url in urls} == {path.relative_to(tmp_path).as_posix() for path in on_disk}
    assert all(re.fullmatch(r"([\w.~/-]|%[0-9A-F]{2})+", url) for url in urls)
    assert all(len(node["sha256"]) == 64 for node in files)
    assert len({node["@id"] for node in document["distribution"]}) == len(document["distribution"])


def test_changed_file_changes_its_digest(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"one")
    before = Export.scan(tmp_path, "imagefolder").files[0]
    assert before.sha256 == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    (tmp_path / "a.png").write_bytes(b"two")
    assert Export.scan(tmp_path, "imagefolder").files[0].sha256 != before.sha256


def test_links_are_not_part_of_an_export(tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("secret")
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "link.png").symlink_to(tmp_path / "outside.txt")
    assert Export.scan(folder, "imagefolder").files == ()


def test_provenance_names_run_and_real_parents(make_release: MakeRelease) -> None:
    parents = (Parent("real pets", "ef" * 32, 120, "CC BY 4.0"), Parent("more", "01" * 32, 3))
    document = json.loads(croissant(make_release(parents=parents)))
    assert document["prov:wasGeneratedBy"]["prov:label"] == "twinset run resolved.yaml"
    assert [entity["@id"] for entity in document["prov:wasDerivedFrom"]] == [
        f"urn:sha256:{'ef' * 32}",
        f"urn:sha256:{'01' * 32}",
    ]
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert "license" not in document


def test_labels_of_images_in_folders_are_class_names(
    make_release: MakeRelease, exported: Callable[[str], Export]
) -> None:
    """Joins by hand as a reader does: folder of the path, its row among the classes, the name there."""
    export = exported("imagefolder")
    document = json.loads(croissant(make_release(exports=(export,))))
    records = {node["@id"]: node for node in document["recordSet"]}
    folder, label = (field for field in records["imagefolder"]["field"] if field["@id"] != "imagefolder/image")
    assert folder["references"] == {"field": {"@id": "classes/folder"}}
    assert label["@id"] == "imagefolder/label"
    assert label["source"] == {"field": {"@id": "classes/name"}}
    names = {row["classes/folder"]: row["classes/name"] for row in records["classes"]["data"]}
    found = [
        re.fullmatch(folder["source"]["transform"]["regex"], file.path)
        for file in export.files
        if file.media_type == "image/png"
    ]
    assert Counter(names[match[1]] for match in found if match) == {"cat": 5, CLASSES[1]: 5}


def test_audit_and_redactions_are_told_in_terms_of_the_vocabularies(make_release: MakeRelease) -> None:
    audit = AuditResult("no_leakage_detected", "no leakage detected", 10, 120, 60, ())
    gone = RedactionNote("2026-01-02T03:04:05+0000", 3, "copies", "12" * 32)
    told = json.loads(croissant(make_release(audit=audit, redactions=(gone,))))
    assert told["conformsTo"][1] == "http://mlcommons.org/croissant/RAI/1.0"
    assert "no leakage detected" in told["rai:dataLimitations"][0]
    made, taken_out = told["prov:wasGeneratedBy"]
    assert made["prov:label"] == "twinset run resolved.yaml"
    assert taken_out["prov:label"] == "twinset redact: 3 images taken out: copies"
    assert told["prov:wasRevisionOf"][0]["@id"] == taken_out["prov:used"] == f"urn:sha256:{'12' * 32}"
    bare = json.loads(croissant(make_release()))
    assert isinstance(bare["conformsTo"], str)
    assert "prov:wasRevisionOf" not in bare
