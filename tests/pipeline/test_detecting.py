from __future__ import annotations

import hashlib
import json
import pickle
import sys
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
from safetensors.numpy import save
from sklearn.datasets import load_digits

import twinset
from twinset import cli, documents
from twinset.dataset import Dataset, Origin, Sample
from twinset.errors import ChangedFileError, DataError, ImageError, RunFolderError, TwinsetError, UsageError
from twinset.formats import read, write
from twinset.images import encode_png, resize
from twinset.pipeline import detecting, words
from twinset.pipeline.reporting import Quiet

MADE = Origin(method="blur", seed=1, recipe_digest="0" * 64)


def digits(low: int, high: int, *, blur: float = 0.0) -> Dataset:
    """Digits of 16 × 16 pixels with grain; blurred ones say that a method made them.

    They are shuffled once: as they come, other writers follow, and rates that hold for the first do not for them.
    """
    order = np.random.Generator(np.random.PCG64(0)).permutation(1797)
    data = load_digits().images[order[low:high]] * 15.9
    draw = np.random.Generator(np.random.PCG64(low))
    samples = []
    for number, small in enumerate(data, start=low):
        large = cv2.resize(small, (16, 16), interpolation=cv2.INTER_CUBIC)
        picture = large + draw.normal(0, 4, (16, 16))
        picture = cv2.GaussianBlur(picture, (0, 0), blur) if blur else picture
        image = np.clip(picture, 0, 255).astype(np.uint8)[..., None]
        samples.append(Sample(f"{number:04d}", origin=MADE if blur else Origin(), image=image))
    return Dataset.of(samples, classes=[], name="digits")


def pictures(place: Path, *sets: Dataset) -> str:
    """A flat folder of PNG files."""
    place.mkdir(parents=True)
    for number, dataset in enumerate(sets):
        for sample in dataset:
            (place / f"{'ab'[number]}{sample.id}.png").write_bytes(encode_png(sample.pixels()))
    return str(place)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector fitted on 300 real and 200 blurred digits."""
    root = tmp_path_factory.mktemp("detector")
    write(digits(300, 500, blur=0.8), root / "blurred", "parquet")
    out = root / "it.safetensors"
    found = twinset.fit_detector(pictures(root / "real", digits(0, 300)), root / "blurred", out=out, seed=4)
    assert found.detector_file == str(out)
    return out


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> str:
    """150 real digits and 40 blurred ones of unknown origin."""
    return pictures(tmp_path_factory.mktemp("inbox") / "in", digits(500, 650), digits(700, 740, blur=0.8))


def test_its_card_lies_beside_it_with_figures_and_limits(kept: Path) -> None:
    card = kept.with_suffix(".md").read_text()
    detector = twinset.detect(kept.parent / "blurred", detector=kept).detector
    assert f"| AUC | {detector.auc:.3f} | {detector.auc_low:.3f} … {detector.auc_high:.3f} |" in card
    assert "Calibrated for false-alarm rates of" in card
    assert "other generators' images may pass unseen" in card
    assert "Not audited." in card
    assert hashlib.sha256(kept.read_bytes()).hexdigest() in card


def test_what_the_generator_made_is_found_and_little_else(kept: Path, inbox: str) -> None:
    found = twinset.detect(inbox, detector=kept)
    jsonschema.validate(json.loads(documents.to_json(found)), documents.schema("detect"))
    assert (found.n_images, found.rate, found.undefined_because) == (190, 0.01, None)
    flagged = {image.id for image in found.images if image.flagged}
    assert found.flagged == len(flagged)
    made = {image.id for image in found.images if image.id.startswith("b")}
    assert len(flagged & made) >= 36
    assert len(flagged - made) <= 8
    held = found.detector.held_out_real
    assert held == 120
    assert found.expected_if_all_real is not None
    assert found.expected_if_all_real.value == pytest.approx(190 / 121)  # ⌊.01 · 121⌋ of 121
    assert found.expected_if_all_real.low <= found.expected_if_all_real.value <= found.expected_if_all_real.high
    assert found.p_value_if_all_real is not None
    assert found.p_value_if_all_real < 0.001
    assert "more than so many real images would give" in found.sentence


def test_real_images_are_flagged_no_more_often_than_the_rate_says(kept: Path, tmp_path: Path) -> None:
    found = twinset.detect(pictures(tmp_path / "in", digits(800, 1200)), detector=kept, rate=0.05)
    assert found.expected_if_all_real is not None
    assert found.expected_if_all_real.value == pytest.approx(400 * 6 / 121)
    assert found.flagged is not None
    assert found.flagged <= found.expected_if_all_real.high
    assert found.p_value_if_all_real is not None
    assert found.p_value_if_all_real > 0.025
    assert "no more than so many real images may give" in found.sentence
    assert all(image.flagged == (image.false_alarm_rate <= 0.05) for image in found.images)
    ordered = sorted(found.images, key=lambda image: image.score)
    assert (np.diff([image.false_alarm_rate for image in ordered]) <= 0).all()


def test_facts_and_limits_stand_in_the_answer(kept: Path, inbox: str) -> None:
    found = twinset.detect(inbox, detector=kept)
    facts = found.detector
    assert (facts.n_real, facts.n_synthetic, facts.held_out_synthetic, facts.seed) == (300, 200, 80, 4)
    assert facts.generators == ["blur"]
    assert 0.9 < facts.auc_low <= facts.auc <= facts.auc_high <= 1.0
    assert "knows only the generators that it was fitted on (blur; images of blurred)" in found.limits
    assert "proves nothing about a single picture" in found.limits
    shown = words.detection(found)
    for text in (found.sentence[1:], found.limits, facts.sha256, "← called generated", "170 more", "1 % and 5 %"):
        assert text in shown


def test_blocks_change_nothing(kept: Path, inbox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = twinset.detect(inbox, detector=kept)
    monkeypatch.setattr(detecting, "BLOCK", 7)
    blocks = twinset.detect(inbox, detector=kept)
    assert [image.id for image in blocks.images] == [image.id for image in whole.images]
    assert [image.score for image in blocks.images] == pytest.approx([image.score for image in whole.images], abs=1e-12)
    judged = detecting.load_detector(kept).judge(read(Path(inbox))[0])
    assert [image.score for image in whole.images] == pytest.approx(judged.scores.tolist(), abs=1e-12)


def test_a_small_calibration_gives_scores_and_no_count(tmp_path: Path) -> None:
    real, made = (pictures(tmp_path / name, each) for name, each in
                  (("real", digits(0, 60)), ("made", digits(60, 120, blur=0.8))))  # fmt: skip
    few = twinset.fit_detector(real, made, out=tmp_path / "few.safetensors")
    assert few.detector.held_out_real == 24
    assert few.detector.thresholds["0.01"] is None
    assert "which they do not say" in few.limits
    found = twinset.detect(made, detector=tmp_path / "few.safetensors", rate=0.01)
    assert (found.flagged, found.expected_if_all_real, found.p_value_if_all_real) == (None, None, None)
    expected = "a false-alarm rate of 1% needs a detector with 99 held-out real images; this one has 24"
    assert found.undefined_because == found.sentence == expected
    assert {image.flagged for image in found.images} == {None}
    assert twinset.detect(made, detector=tmp_path / "few.safetensors").rate == 0.05
    assert "called generated" not in words.detection(found).partition("fitted on")[0]


def test_a_detector_is_never_written_over_anything_or_into_the_images(kept: Path, tmp_path: Path) -> None:
    real, made = pictures(tmp_path / "real", digits(0, 30)), pictures(tmp_path / "made", digits(30, 60, blur=0.8))
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(RunFolderError, match="expected no file there; got one"):
        twinset.fit_detector(real, made, out=tmp_path / "mine")
    with pytest.raises(RunFolderError, match="expected a place outside"):
        twinset.fit_detector(real, made, out=tmp_path / "made" / "it.safetensors")
    assert (tmp_path / "mine").read_text() == "mine"
    assert len(list((tmp_path / "made").iterdir())) == 30


def test_too_few_images_to_fit_are_told(tmp_path: Path) -> None:
    real, made = pictures(tmp_path / "real", digits(0, 19)), pictures(tmp_path / "made", digits(30, 60, blur=0.8))
    with pytest.raises(DataError, match=r"at least 20 images on each side .* got 19 real and 30 synthetic"):
        twinset.fit_detector(real, made, out=tmp_path / "it")
    with pytest.raises(DataError, match="got 30 real and 19 synthetic"):
        twinset.fit_detector(made, real, out=tmp_path / "it")


def test_what_is_no_detector_is_refused_unopened(kept: Path, inbox: str, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    changed = bytearray(kept.read_bytes())
    changed[-3] ^= 1
    files = {
        "it.pkl": (pickle.dumps(Trap()), DataError, "got a pickled or zipped file, which can run code"),
        "it.pt": (b"PK\x03\x04rest", DataError, "got a pickled or zipped file"),
        "text": (b"not a detector", DataError, "expected a detector"),
        "empty": (b"", DataError, "expected a detector"),
        "other": (save({"x": np.zeros(3)}), DataError, "expected a detector"),
        "changed": (bytes(changed), ChangedFileError, "expected the detector that was written"),
    }
    for name, (data, kind, message) in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(kind, match=message):
            twinset.detect(inbox, detector=tmp_path / name)
    for name, message in (("absent", "got no such file"), (".", "got a folder")):
        with pytest.raises(DataError, match=message):
            twinset.detect(inbox, detector=tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_a_header_length_that_begins_like_a_pickle_is_none(tmp_path: Path) -> None:
    header = b'{"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}'.ljust(0x0480)
    (tmp_path / "it").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    assert (tmp_path / "it").read_bytes()[:2] == b"\x80\x04"
    with pytest.raises(DataError, match="tensors of another kind"):
        detecting.load_detector(tmp_path / "it")


def test_pictures_that_are_too_small_are_named(kept: Path, tmp_path: Path) -> None:
    place = Path(pictures(tmp_path / "in", digits(0, 2)))
    (place / "c.png").write_bytes(encode_png(np.zeros((7, 9, 1), np.uint8)))
    with pytest.raises(ImageError, match=r"c\.png: expected pictures of at least 8 × 8 pixels; got 9 × 7"):
        twinset.detect(place, detector=kept)


def test_one_size_and_one_coder_for_all_take_the_traits_of_the_files_away(tmp_path: Path) -> None:
    small = Dataset.of((Sample(s.id, image=resize(s.pixels(), 12, 12)) for s in digits(60, 120, blur=0.8)), classes=[])
    real, made = pictures(tmp_path / "real", digits(0, 60)), pictures(tmp_path / "made", small)
    plain = twinset.fit_detector(real, made, out=tmp_path / "plain")
    assert any("size alone tells the sets apart" in text for text in plain.detector.warnings)
    assert any("--size, --jpeg-quality" in text for text in plain.warnings)
    even = twinset.fit_detector(real, made, out=tmp_path / "even", size=8, jpeg_quality=70)
    assert even.detector.warnings == even.warnings == []
    settings = detecting.load_detector(tmp_path / "even").record.settings
    assert (settings.equalise.size, settings.equalise.jpeg_quality) == ((8, 8), 70)
    tiny = Path(pictures(tmp_path / "in", digits(200, 202)))
    (tiny / "c.png").write_bytes(encode_png(np.zeros((7, 9, 1), np.uint8)))
    assert twinset.detect(tiny, detector=tmp_path / "even").n_images == 3


def test_images_of_another_world_and_those_left_out_are_warned_of(kept: Path, tmp_path: Path) -> None:
    place = Path(pictures(tmp_path / "in", digits(500, 520)))
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (16, 16, 1)).astype(np.uint8)
    (place / "noise.png").write_bytes(encode_png(noise))
    (place / "bad.png").write_bytes(b"text")
    with pytest.raises(TwinsetError, match="--on-bad-input skip"):
        twinset.detect(place, detector=kept)
    found = twinset.detect(place, detector=kept, on_bad_input="skip")
    assert found.n_images == 21
    assert any(
        text.startswith("1 of 21 images are unlike both sets") and "noise.png" in text for text in found.warnings
    )
    assert any(text.startswith("1 bad files left out, first bad.png") for text in found.warnings)
    assert all(f"warning   {text}" in words.detection(found) for text in found.warnings)


def test_an_empty_folder_and_a_strange_option_are_told(kept: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected"):
        twinset.detect(tmp_path, detector=kept)
    with pytest.raises(UsageError, match=r"expected --rate 0.01 or 0.05; got 0.02"):
        twinset.detect(tmp_path, detector=kept, rate=0.02)
    with pytest.raises(UsageError, match="expected --on-bad-input refuse or skip"):
        detecting.detect(str(tmp_path), detector=kept, on_bad_input="ignore", listener=Quiet())


def test_the_command_line_fits_and_detects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def called(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["twinset", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out or err

    real, made = pictures(tmp_path / "real", digits(0, 60)), pictures(tmp_path / "made", digits(60, 120, blur=0.8))
    out = tmp_path / "it.safetensors"
    ended, shown = called("fit-detector", real, made, "--out", out, "--quiet", "--json")
    jsonschema.validate(json.loads(shown), documents.schema("fit-detector"))
    assert (ended, json.loads(shown)["detector_file"]) == (0, str(out))
    ended, shown = called("fit-detector", real, made, "--out", out, "--quiet")
    assert ended == 4
    assert shown.startswith("error: ")
    assert "expected no file there" in shown
    ended, shown = called("detect", made, "--detector", out, "--quiet", "--json")
    answer = json.loads(shown)
    jsonschema.validate(answer, documents.schema("detect"))
    assert (ended, answer["n_images"], answer["rate"]) == (0, 60, 0.05)
    again = documents.DetectDocument.model_validate(answer)
    assert again.images == twinset.detect(made, detector=out).images
    assert called("detect", made, "--quiet")[0] == 2
    assert called("detect", made, "--detector", out, "--rate", "0.5", "--quiet")[0] == 2
    assert called("detect", made, "--detector", tmp_path / "no", "--quiet")[0] == 4


def test_equal_seeds_fit_equal_detectors(kept: Path, tmp_path: Path) -> None:
    real, made = pictures(tmp_path / "real", digits(0, 60)), pictures(tmp_path / "made", digits(60, 120, blur=0.8))
    seeds = {"a": 1, "b": 1, "c": 2}
    found = [twinset.fit_detector(real, made, out=tmp_path / name, seed=seed) for name, seed in seeds.items()]
    assert found[0].detector.sha256 == found[1].detector.sha256 != found[2].detector.sha256
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_detector_no_better_than_chance_is_not_kept_unless_asked_for(tmp_path: Path) -> None:
    real, alike = pictures(tmp_path / "real", digits(0, 150)), pictures(tmp_path / "alike", digits(150, 300))
    out = tmp_path / "it.safetensors"
    with pytest.raises(DataError, match=r"expected sets that a detector can tell apart.*better than chance") as caught:
        twinset.fit_detector(real, alike, out=out)
    assert "--keep-anyway" in caught.value.hint
    assert not out.exists()
    found = twinset.fit_detector(real, alike, out=out, keep_anyway=True)
    assert found.detector.auc_low <= 0.5
    judged = twinset.detect(real, detector=out)
    for document in (found, judged):
        assert document.warnings[0].startswith("this detector may do no better than chance: AUC")


def test_a_detector_better_than_chance_says_nothing_of_it(kept: Path, inbox: str) -> None:
    assert not any("chance" in text for text in twinset.detect(inbox, detector=kept).warnings)
