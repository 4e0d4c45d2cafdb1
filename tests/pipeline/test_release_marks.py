"""Marks that a recipe asks for are in the exported pictures, are found again, and no secret leaves with them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import twinset
from twinset import documents, pipeline
from twinset.dataset import Dataset, Origin, Sample
from twinset.errors import UsageError
from twinset.images import resize
from twinset.pipeline import detect_provenance, detect_watermark
from twinset.pipeline.mark_words import provenance as provenance_words
from twinset.pipeline.mark_words import watermark as watermark_words
from twinset.pipeline.reporting import Quiet
from twinset.provenance import Provenance, encode_with_provenance, stated_source_type, xmp_packet
from twinset.release.encoding import ReleaseEncoder
from twinset.release.watermark import SecretKey, SpreadSpectrum

SECRET = b"a secret of the tests, 7c1f0a99"


def larger(dataset: Dataset) -> Dataset:
    """Digits of 32 × 32 pixels: those of 8 × 8 hold little."""
    samples = (Sample(s.id, s.annotation, image=resize(s.pixels(), 32, 32)) for s in dataset)
    return Dataset.of(samples, classes=dataset.classes)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("marks")
    digits = twinset.load("builtin:digits")
    larger(digits.take(range(80))).export(root / "real", format="imagefolder")
    larger(digits.take(range(100, 160))).export(root / "made", format="imagefolder")
    (root / "watermark.key").write_bytes(SECRET + b"\n")
    (root / "other.key").write_bytes(b"another secret of the tests, 55")
    return {name: root / name for name in ("real", "made", "watermark.key", "other.key")}


def run(folders: dict[str, Path], out: Path, release: dict[str, object]) -> documents.RunDocument:
    recipe: dict[str, object] = {
        "data": {"path": str(folders["real"]), "licence": "CC0-1.0", "consent": "Written, for *any* use"},
        "count": 50,
        "generate": [{"use": "folder", "path": str(folders["made"])}],
        "align": "off",
        "evaluate": {"utility": "off", "explain": False, "metadata": False, "fidelity": False},
        "gate": {"copies": "off"},
        "release": release,
    }
    return twinset.run(recipe, out=out, workers=1, quiet=True)


def looked(source: Path, key: Path, **options: int) -> documents.WatermarkDocument:
    return detect_watermark(str(source), key_file=key, listener=Quiet(), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def marked(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> documents.RunDocument:
    release: dict[str, object] = {
        "watermark": {"key_file": str(folders["watermark.key"]), "payload": 4711},
        "access": "On request; ask <us>",
    }
    return run(folders, tmp_path_factory.mktemp("run") / "run", release)


@pytest.mark.slow
def test_the_folder_is_found_by_its_key_and_by_no_other(
    marked: documents.RunDocument, folders: dict[str, Path]
) -> None:
    export = Path(marked.exports["imagefolder"])
    found = looked(export, folders["watermark.key"])
    assert found.folder_marked
    assert found.payload == 4711
    assert found.p_value < 1e-6
    assert "payload 4711" in watermark_words(found)
    assert {image.file for image in found.images} == {str(path.relative_to(export)) for path in export.rglob("*.png")}
    assert sum(f"   {image.file}" in watermark_words(found) for image in found.images) == 20
    other = looked(export, folders["other.key"])
    assert not other.folder_marked
    assert other.payload is None
    assert other.p_value > 0.001
    assert not looked(folders["made"], folders["watermark.key"]).folder_marked


def test_no_secret_leaves_with_the_run(marked: documents.RunDocument) -> None:
    for path in Path(marked.run).rglob("*"):
        assert not path.is_file() or SECRET not in path.read_bytes(), path
    assert str(Path.home()) not in (Path(marked.run) / "export" / "recipe.yaml").read_text()
    shared = (Path(marked.run) / "export" / "recipe.yaml").read_text()
    assert "watermark" not in shared
    assert "access: On request; ask <us>" in shared
    assert "watermark.key" not in (Path(marked.run) / "report.html").read_text()


def test_card_and_croissant_tell_of_marks_access_licence_and_consent(marked: documents.RunDocument) -> None:
    card = (Path(marked.run) / "export" / "README.md").read_text()
    assert "invisible watermark with a payload of 16 bits (40 dB)" in card
    assert "4711" not in card
    assert "## Access\n\nOn request; ask &lt;us&gt;" in card
    assert "Written, for \\*any\\* use" in card
    told = json.loads((Path(marked.run) / "export" / "croissant.json").read_text())
    assert told["conditionsOfAccess"] == "On request; ask <us>"
    assert told["prov:wasDerivedFrom"][0]["sc:usageInfo"] == "Written, for *any* use"
    assert told["prov:wasDerivedFrom"][0]["sc:license"] == "CC0-1.0"
    assert told["prov:wasGeneratedBy"]["@type"] == "prov:Activity"
    assert any("watermark" in warning for warning in marked.warnings)


def test_the_export_comes_back_to_the_byte(
    marked: documents.RunDocument, folders: dict[str, Path], tmp_path: Path
) -> None:
    export = Path(marked.exports["imagefolder"])
    before = {path.relative_to(export): path.read_bytes() for path in export.rglob("*.png")}
    (export.parent / "imagefolder").rename(tmp_path / "gone")
    pipeline.evaluate(Path(marked.run), workers=1, device="cpu", listener=Quiet())
    assert {path.relative_to(export): path.read_bytes() for path in export.rglob("*.png")} == before


def test_a_missing_key_is_told_before_anything_is_made(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a file with the watermark's key; got No such file"):
        run(folders, tmp_path / "run", {"watermark": {"key_file": str(tmp_path / "none")}})
    assert not (tmp_path / "run" / "shards").exists()


def synthetic(parents: tuple[str, ...] = ()) -> Sample:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    return Sample("made/1", origin=Origin("diffusion", 7, "ab" * 32, parents), image=pixels)


def test_real_pictures_are_not_marked() -> None:
    real = Sample("real/1", image=synthetic().pixels())
    encode = ReleaseEncoder(SpreadSpectrum(SecretKey(SECRET)))
    assert encode(real) == encode_with_provenance(real)
    assert encode(synthetic()) != encode_with_provenance(synthetic())


def saved(sample: Sample, kind: str) -> bytes:
    """The picture as PNG of ours, or as a JPEG that carries our XMP."""
    if kind == "PNG":
        return encode_with_provenance(sample)
    buffer = io.BytesIO()
    packet = xmp_packet(Provenance.of(sample)).encode()
    Image.fromarray(sample.pixels()).save(buffer, format="JPEG", xmp=packet)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize(
    ("parents", "term"),
    [((), "trainedAlgorithmicMedia"), (("real/1",), "compositeWithTrainedAlgorithmicMedia")],
)
def test_another_reader_finds_the_source_type(kind: str, parents: tuple[str, ...], term: str) -> None:
    data = saved(synthetic(parents), kind)
    assert (stated_source_type(data) or "").endswith(f"/{term}")
    with Image.open(io.BytesIO(data)) as picture:
        found = picture.getxmp()["xmpmeta"]["RDF"]["Description"]
    assert found["DigitalSourceType"] == f"http://cv.iptc.org/newscodes/digitalsourcetype/{term}"


def test_a_source_type_that_others_wrote_as_an_attribute_is_read() -> None:
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" e:DigitalSourceType="urn:x"/>'
        "</rdf:RDF></x:xmpmeta>"
    )
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, format="JPEG", xmp=packet.encode())
    assert stated_source_type(buffer.getvalue()) == "urn:x"


def test_what_files_say_is_told_and_what_was_stripped_is_absent(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(synthetic(("real/1",)), "PNG"))
    Image.open(tmp_path / "a.png").save(tmp_path / "b.png")
    (tmp_path / "c.jpg").write_bytes(saved(synthetic(), "JPEG"))
    told = detect_provenance(str(tmp_path), listener=Quiet())
    states = {Path(image.id).stem: (image.xmp, image.method, image.c2pa) for image in told.images}
    assert states["a"] == ("present", "diffusion", "absent")
    assert states["b"] == ("absent", None, "absent")
    assert states["c"] == ("present", "diffusion", "absent")
    assert {image.file: image.xmp for image in told.images} == {
        "a.png": "present",
        "b.png": "absent",
        "c.jpg": "present",
    }
    assert told.xmp == {"present": 2, "absent": 1}
    one = detect_provenance(str(tmp_path / "a.png"), listener=Quiet())
    assert (one.n_images, one.images[0].parents) == (1, ["real/1"])
    assert "compositeWithTrainedAlgorithmicMedia" in provenance_words(one)


def test_odd_rates_and_payloads_are_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="expected --payload 0 to 65535; got 65536"):
        looked(folders["made"], folders["watermark.key"], payload=65536)
    with pytest.raises(UsageError, match=r"expected --rate above 0 and below \.5; got 2"):
        looked(folders["made"], folders["watermark.key"], rate=2)
