"""A user's own trainer: what it is given, what of its answers is believed, and how its failures are told."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

from twinset import documents
from twinset.annotations import Annotation, SemanticMap
from twinset.dataset import Dataset, Sample
from twinset.downstream import own_command
from twinset.downstream.arms import Cell, CellResult, Recipe, UtilityPlan
from twinset.downstream.own_command import OwnTrainer, placed_words
from twinset.downstream.own_response import read_maps, read_objects
from twinset.downstream.own_trainer import run_command
from twinset.downstream.placed_cells import PlacedPlan, PlacedSettings, read_found, run_placed_cell
from twinset.downstream.placed_data import Kind, placed_data
from twinset.downstream.placed_inputs import Originals, StudyData
from twinset.downstream.placed_scores import PlacedStudy, found_path
from twinset.errors import ChangedFileError, UsageError
from twinset.instances import Instances
from twinset.masks import Rle
from twinset.randomness import Stream

REAL = Cell(Recipe("real", "none", 0.0), 0, 0)
BOTH = Cell(Recipe("real+classical+synthetic", "medium", 0.5, balanced=True), 0, 1)

TRUE = """
import json, sys
from pathlib import Path
import numpy as np
from PIL import Image
from pycocotools import mask as coco
request = json.loads(Path(sys.argv[-1]).read_text())
found = []
for each in request["validation"] + request["test"]:
    pixels = np.asarray(Image.open(each["file"]))
    assert pixels.shape[:2] == (each["height"], each["width"])
    inside = pixels != 128
    y, x = np.nonzero(inside)
    label = int(pixels[y[0], x[0]] == 255)
    if request["task"] == "semantic-segmentation":
        Path("maps").mkdir(exist_ok=True)
        Image.fromarray((inside * (label + 1)).astype(np.uint8)).save(f"maps/{each['id']}.png")
        continue
    box = [int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1]
    one = {"image_id": each["id"], "class": label, "box": box, "score": 0.9}
    if request["task"] == "instance-segmentation":
        packed = coco.encode(np.asfortranarray(inside.astype(np.uint8)))
        one["rle"] = {"size": packed["size"], "counts": packed["counts"].decode()}
    found.append(one)
answer = {"schema": "twinset/trainer-response/1"}
answer |= {"maps": "maps"} if request["task"] == "semantic-segmentation" else {"detections": found}
Path(request["response"]).write_text(json.dumps(answer))
"""
NOTHING = """
import json, sys
from pathlib import Path
Path("response.json").write_text(json.dumps({"schema": "twinset/trainer-response/1", "detections": []}))
"""


def squares(n: int, *, seed: int, kind: Kind, masks: bool = False) -> Dataset:
    """Grey pictures, 40 to 60 px wide, with a bright (class 1) or dark (class 0) square each."""
    rng = Stream(seed).numpy()
    samples = []
    for number in range(n):
        label, side, width = number % 2, int(rng.integers(12, 20)), int(rng.integers(40, 60))
        x, y = int(rng.integers(0, width - side)), int(rng.integers(0, 48 - side))
        pixels = np.full((48, width, 1), 128, dtype=np.uint8)
        pixels[y : y + side, x : x + side] = 255 * label
        inside = pixels[..., 0] != 128
        box = np.array([[x, y, x + side, y + side]])
        mask = (Rle.of(inside),) if masks else None
        instances = Instances((48, width), np.array([label]), box, mask)
        semantic = SemanticMap.of(inside * (label + 1))
        said = Annotation(instances=instances) if kind == "objects" else Annotation(semantic=semantic)
        samples.append(Sample(f"{seed}-{number}", said, image=pixels))
    return Dataset.of(samples, classes=["dark", "bright"] if kind == "objects" else ["none", "dark", "bright"])


class Desk:
    """A study with a trainer in a folder."""

    def __init__(self, folder: Path, script: str, *, kind: Kind = "objects", masks: bool = False, minutes: float = 1):
        self.folder = folder
        (folder / "train.py").write_text(script)
        names = {"train": 4, "validation": 2, "test": 3, "synthetic": 2}
        sets = [squares(n, seed=at, kind=kind, masks=masks) for at, n in enumerate(names.values())]
        placed = placed_data(
            **dict(zip(names, sets, strict=True)), test_families=np.arange(3), kind=kind, size=(16, 16), channels=1
        )
        self.data = StudyData(placed, originals=Originals(*sets))
        self.data.save(folder / "data")
        self.masks, self.minutes = masks, minutes
        self.plan = self.planned()

    def planned(self) -> PlacedPlan:
        """The plan with the script as it is now."""
        words = placed_words([sys.executable, "train.py", "--epochs", "3"], self.folder)
        trainer = OwnTrainer.of(words, minutes=self.minutes)
        settings = PlacedSettings(16, 16, 1, 1, masks=self.masks, trainer=trainer)
        return UtilityPlan(settings, seed=3, flip=True)

    def run(self, cell: Cell = REAL) -> CellResult:
        found = found_path(self.folder, cell.key, self.data.placed)
        folder = self.folder / "data"
        return run_placed_cell(cell, self.data.placed, plan=self.plan, study="s", found=found, folder=folder)

    def request(self, cell: Cell = REAL) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.folder / cell.key / "request.json").read_text())
        return found


@pytest.mark.parametrize(("kind", "masks"), [("objects", False), ("objects", True), ("pixels", False)])
def test_a_trainer_that_answers_with_the_truth_scores_one(kind: Kind, masks: bool, tmp_path: Path) -> None:
    desk = Desk(tmp_path, TRUE, kind=kind, masks=masks)
    result = desk.run()
    assert result.validation_score == 1.0
    study = PlacedStudy(desk.data.placed, tmp_path, masks)
    judged = study.judged([result])
    assert judged.scores(np.ones((1, judged.families)))[0, 0] == 1.0
    assert study.metric == {"pixels": "mIoU", "objects": "mask mAP@50" if masks else "mAP@50"}[kind]


def test_a_trainer_that_finds_nothing_scores_zero(tmp_path: Path) -> None:
    desk = Desk(tmp_path, NOTHING)
    assert desk.run().validation_score == 0.0
    assert [len(one) for one in read_found(found_path(tmp_path, REAL.key, desk.data.placed))] == [0, 0, 0]


def test_masks_are_judged_and_not_the_boxes_around_them(tmp_path: Path) -> None:
    """Of masks that are shifted away while boxes are right, only the masks count."""
    away = TRUE.replace("coco.encode(np.asfortranarray(inside", "coco.encode(np.asfortranarray(~inside")
    assert Desk(tmp_path, away, masks=True).run().validation_score == 0.0


def test_the_request_says_what_to_learn_and_nothing_of_the_answers(tmp_path: Path) -> None:
    keep = "import shutil\nshutil.copytree('.', '../kept')\n"
    desk = Desk(tmp_path, keep + NOTHING)
    desk.run(BOTH)
    request = desk.request(BOTH)
    jsonschema.validate(request, documents.schema("trainer-request"))
    assert [each["synthetic"] for each in request["train"]] == [False] * 4 + [True] * 2  # type: ignore[index, attr-defined]
    assert request["augmentation"] == {"strength": "medium", "flip": True, "turn": False}
    assert (request["synthetic_share"], request["balanced"], request["task"]) == (0.5, True, "detection")
    ids = [each["id"] for part in ("train", "validation", "test") for each in request[part]]  # type: ignore[attr-defined]
    assert ids == list(range(1, 12))
    coco = json.loads((tmp_path / "kept" / "train.json").read_text())
    assert [(c["id"], c["name"]) for c in coco["categories"]] == [(0, "dark"), (1, "bright")]
    assert {a["image_id"] for a in coco["annotations"]} == set(range(1, 7))
    assert [image["synthetic"] for image in coco["images"]] == [False] * 4 + [True] * 2
    first = squares(4, seed=0, kind="objects")[0]
    assert first.annotation is not None
    assert first.annotation.instances is not None
    x1, y1, x2, y2 = first.annotation.instances.boxes[0].tolist()
    assert next(a["bbox"] for a in coco["annotations"] if a["image_id"] == 1) == [x1, y1, x2 - x1, y2 - y1]
    files = sorted(path.relative_to(tmp_path / "kept").as_posix() for path in (tmp_path / "kept").rglob("*.*"))
    pictures = [f"{p}/{n:06d}.png" for p, n in zip(["train"] * 6 + ["validation"] * 2 + ["test"] * 3, ids, strict=True)]
    assert files == sorted([*pictures, "train.json", "request.json", "log.txt"])
    assert (np.asarray(Image.open(tmp_path / "kept" / "train/000001.png")) == first.pixels()[..., 0]).all()


def test_maps_to_learn_from_are_class_ids(tmp_path: Path) -> None:
    keep = "import shutil\nshutil.copytree('.', '../kept')\n"
    desk = Desk(tmp_path, keep + TRUE, kind="pixels")
    desk.run(Cell(Recipe("synthetic", "none", 1.0), 0, 0))
    truth = squares(2, seed=3, kind="pixels")[1].annotation
    assert truth is not None
    assert truth.semantic is not None
    values = np.asarray(Image.open(tmp_path / "kept" / "train-maps" / "000002.png"))
    assert (values == truth.semantic.dense()).all()
    assert not (tmp_path / "kept" / "train.json").exists()


def test_seeds_are_paired_over_recipes_and_differ_between_repeats(tmp_path: Path) -> None:
    desk = Desk(tmp_path, NOTHING)
    cells = [REAL, replace(BOTH, seed=0), BOTH]
    for cell in cells:
        desk.run(cell)
    same, paired, other = (desk.request(cell)["seed"] for cell in cells)
    assert same == paired != other


def test_only_request_and_log_stay_of_a_training_that_went_well(tmp_path: Path) -> None:
    odd = "import os\nos.symlink('/etc', 'link')\nos.makedirs('runs/1')\nprint('epoch 1')\n"
    desk = Desk(tmp_path, odd + NOTHING)
    desk.run()
    assert sorted(path.name for path in (tmp_path / REAL.key).iterdir()) == ["log.txt", "request.json"]
    assert (tmp_path / REAL.key / "log.txt").read_text() == "epoch 1\n"
    assert Path("/etc").is_dir()


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("import sys\nprint('no GPU here')\nsys.exit(3)", "expected exit status 0; got 3; its last words: no GPU here"),
        ("raise RuntimeError('out of memory')", "RuntimeError: out of memory"),
        ("print('done')", "response.json: expected this file; got 'No such file or directory'; its last words: done"),
        ("import os\nos.kill(os.getpid(), 9)", "expected exit status 0; got -9; its last words: nothing"),
        ("print('\\x1b[31mred')\nraise SystemExit(1)", r"\\x1b[31mred"),
    ],
)
def test_a_failed_training_is_told_in_one_line_with_the_end_of_its_log(script: str, told: str, tmp_path: Path) -> None:
    desk = Desk(tmp_path, script)
    with pytest.raises(UsageError) as caught:
        desk.run()
    assert told.replace("\\\\", "\\") in str(caught.value)
    assert f"training {REAL.key}" in str(caught.value)
    assert "\n" not in str(caught.value)
    (tmp_path / "train.py").write_text(NOTHING)
    desk.plan = desk.planned()
    assert desk.run().validation_score == 0.0


def test_a_training_that_takes_too_long_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open('../child', 'w').write(str(child.pid))\nprint('slow', flush=True)\ntime.sleep(60)\n"
    )
    desk = Desk(tmp_path, script, minutes=1.5 / 60)
    started = time.monotonic()
    with pytest.raises(UsageError, match=r"expected an answer within 0.025 min; got none; its last words: slow"):
        desk.run()
    assert time.monotonic() - started < 10
    child = int((tmp_path / "child").read_text())
    for _ in range(50):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or " Z " in state.read_text():
            return
        time.sleep(0.05)
    os.kill(child, 9)
    pytest.fail("the child lives")


SIZES = {5: (40, 60), 6: (48, 48)}
GOOD = {"image_id": 5, "class": 1, "box": [1, 2, 11, 12], "score": 0.5}


def answered(folder: Path, detections: object, *, masks: bool = False) -> dict[int, Instances]:
    path = folder / "response.json"
    path.write_text(json.dumps({"schema": "twinset/trainer-response/1", "detections": detections}))
    return read_objects(path, SIZES, n_classes=2, masks=masks)


def test_detections_are_sorted_and_cut_at_the_border(tmp_path: Path) -> None:
    found = answered(
        tmp_path,
        [GOOD, {**GOOD, "box": [-5, 30, 70.5, 90], "score": 0.9}, {**GOOD, "box": [60, 3, 61, 4]}],
    )
    assert found[5].boxes.tolist() == [[0, 30, 60, 40], [1, 2, 11, 12]]
    assert found[5].confidences is not None
    assert found[5].confidences.tolist() == pytest.approx([0.9, 0.5])
    assert len(found[6]) == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"image_id": 1}, r"detections\[1\].image_id: expected the id of a validation or test picture; got 1"),
        ({"image_id": True}, "image_id: expected a whole number; got True"),
        ({"class": 2}, r"class: expected 0…1; got 2"),
        ({"class": "bright"}, "class: expected a whole number"),
        ({"score": 1.5}, r"score: expected a number in \[0, 1\]; got 1.5"),
        ({"score": float("nan")}, "NaN, which is no number"),
        ({"box": [0, 0, float("inf"), 1]}, "Infinity, which is no number"),
        ({"box": [0, 0, 10**400, 1]}, "box: expected a finite number; got 1000"),
        ({"box": [9, 9, 4, 12]}, r"expected x1 ≤ x2 and y1 ≤ y2 \(corners"),
        ({"box": [100, 2, 111, 12]}, "expected pixels of the picture, which has 60 x 40"),
        ({"box": [1, 2, 3]}, "box: expected x1, y1, x2, y2"),
        ({"box": None}, "box: expected x1, y1, x2, y2"),
        ({"label": "cat"}, r"detections\[1\]: expected box, class, image_id, score; got"),
    ],
)
def test_detections_that_do_not_fit_are_refused(change: dict[str, object], told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=told):
        answered(tmp_path, [GOOD, {**GOOD, **change}])


def test_numbers_that_overflow_are_no_numbers(tmp_path: Path) -> None:
    text = json.dumps({"schema": "twinset/trainer-response/1", "detections": [GOOD]}).replace("0.5", "1e999")
    (tmp_path / "response.json").write_text(text)
    with pytest.raises(UsageError, match="score: expected a finite number; got inf"):
        read_objects(tmp_path / "response.json", SIZES, n_classes=2, masks=False)


def run_lengths(size: list[int], counts: object) -> dict[str, object]:
    return {**GOOD, "rle": {"size": size, "counts": counts}}


def test_masks_come_as_plain_or_packed_run_lengths(tmp_path: Path) -> None:
    mask = np.zeros((40, 60), dtype=np.bool_)
    mask[2:12, 1:11] = True
    packed = Rle.of(mask)
    both = [run_lengths([40, 60], packed.counts.decode()), run_lengths([40, 60], packed.runs())]
    found = answered(tmp_path, both, masks=True)[5].dense_masks()
    assert (found == mask).all()
    assert len(found) == 2


@pytest.mark.parametrize(
    ("detection", "told"),
    [
        (GOOD, "expected box, class, image_id, rle, score"),
        (run_lengths([60, 40], [2400]), r"rle: expected size \[40, 60\] \(height, width\) and counts"),
        (run_lengths([40, 60], [2399]), "expected run lengths that cover the picture"),
        (run_lengths([40, 60], [-1, 2401]), "expected run lengths that cover the picture"),
        (run_lengths([40, 60], "22"), "expected run lengths that cover the picture; got '4 pixels'"),
        (run_lengths([40, 60], "ooooooooooooooooooooo"), "expected run lengths that cover the picture"),
        (run_lengths([40, 60], "ü"), "expected run lengths as COCO writes them"),
        (run_lengths([40, 60], ""), "expected run lengths that cover the picture"),
    ],
)
def test_masks_that_do_not_fit_are_refused(detection: dict[str, object], told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=told):
        answered(tmp_path, [detection], masks=True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "response.json: expected JSON"),
        ("[" * 100_000, "response.json: expected JSON"),
        ("\udcff", "response.json: expected JSON"),
        ("[]", "expected an object with schema 'twinset/trainer-response/1'"),
        ('{"schema": "twinset/trainer-response/2"}', "expected an object with schema"),
        ('{"schema": "twinset/trainer-response/1", "maps": "x"}', "expected the keys schema and detections"),
        ('{"schema": "twinset/trainer-response/1", "detections": {}}', "detections: expected a list"),
        ('{"schema": "twinset/trainer-response/1", "detections": [7]}', r"detections\[0\]: expected box"),
    ],
)
def test_answers_of_another_kind_are_refused(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "response.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match=told):
        read_objects(tmp_path / "response.json", SIZES, n_classes=2, masks=False)


def test_answers_are_plain_files(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.json").write_text('{"schema": "twinset/trainer-response/1", "detections": []}')
    (tmp_path / "response.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(UsageError, match="expected a plain file"):
        read_objects(tmp_path / "response.json", SIZES, n_classes=2, masks=False)
    (tmp_path / "response.json").unlink()
    os.mkfifo(tmp_path / "response.json")
    with pytest.raises(UsageError, match="expected a plain file"):
        read_objects(tmp_path / "response.json", SIZES, n_classes=2, masks=False)


def draw(folder: Path, **values: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in values.items():
        Image.fromarray(array).save(folder / f"{name.removeprefix('n')}.png")


def maps(folder: Path, named: object = "maps") -> dict[int, np.ndarray]:
    (folder / "response.json").write_text(json.dumps({"schema": "twinset/trainer-response/1", "maps": named}))
    return read_maps(folder / "response.json", SIZES, n_classes=3)


def test_maps_may_be_grey_or_have_a_palette(tmp_path: Path) -> None:
    ids = np.arange(48 * 48).reshape(48, 48).astype(np.uint8) % 3
    draw(tmp_path / "maps", n5=np.full((40, 60), 2, np.uint8))
    coloured = Image.fromarray(ids, mode="P")
    coloured.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    coloured.save(tmp_path / "maps" / "6.png")
    found = maps(tmp_path)
    assert (found[6] == ids).all()
    assert (found[5] == 2).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"n6": np.full((48, 48), 3, np.uint8)}, "6.png: expected class ids 0…2; got '3…3'"),
        ({"n6": np.zeros((48, 47), np.uint8)}, "6.png: expected 48 x 48 pixels; got '47 x 48'"),
        ({"n6": np.zeros((48, 48, 4), np.uint8)}, "6.png: expected class ids as a grey or palette PNG"),
        ({"n7": np.zeros((48, 48), np.uint8)}, "expected no other files in 'maps'; 1 differ; got '7.png'"),
    ],
)
def test_maps_that_do_not_fit_are_refused(change: dict[str, np.ndarray], told: str, tmp_path: Path) -> None:
    draw(tmp_path / "maps", n5=np.zeros((40, 60), np.uint8), n6=np.zeros((48, 48), np.uint8))
    draw(tmp_path / "maps", **change)
    with pytest.raises(UsageError, match=told):
        maps(tmp_path)


def test_maps_stay_in_the_folder_of_their_training(tmp_path: Path) -> None:
    draw(tmp_path / "out", n5=np.zeros((40, 60), np.uint8), n6=np.zeros((48, 48), np.uint8))
    (tmp_path / "cell").mkdir()
    (tmp_path / "cell" / "link").symlink_to(tmp_path / "out")
    for named in ("../out", str(tmp_path / "out"), "a/../../out", "link", "x\0y", ".", 3, ""):
        with pytest.raises(UsageError, match="maps: expected"):
            maps(tmp_path / "cell", named)
    (tmp_path / "cell" / "maps").mkdir()
    for name in ("5.png", "6.png"):
        (tmp_path / "cell" / "maps" / name).symlink_to(tmp_path / "out" / name)
    with pytest.raises(UsageError, match=r"5\.png: expected a plain file"):
        maps(tmp_path / "cell")


@pytest.mark.parametrize("when", ["before it", "during it"])
def test_a_script_that_changes_in_the_middle_of_a_study_stops_it(when: str, tmp_path: Path) -> None:
    changes = "open(__file__, 'a').write('# later')\n" if when == "during it" else ""
    desk = Desk(tmp_path, changes + NOTHING)
    if when == "before it":
        desk.run()
        (tmp_path / "train.py").write_text(NOTHING + "# better")
    with pytest.raises(ChangedFileError, match=r"train\.py: expected what this study began with; got another content"):
        desk.run(BOTH)
    assert not found_path(tmp_path, BOTH.key, desk.data.placed).exists()
    (tmp_path / "train.py").unlink()
    with pytest.raises(ChangedFileError, match=r"train\.py"):
        desk.run(BOTH)


def command(*words: str, base: Path, minutes: float = 1) -> OwnTrainer:
    return OwnTrainer.of(placed_words(["python3", *words], base), minutes=minutes)


def test_the_words_and_the_content_of_named_files_are_what_is_trained(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("1")
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "train.py").write_text("1")

    def said(*words: str, base: Path = tmp_path, minutes: float = 1) -> dict[str, object]:
        return command(*words, base=base, minutes=minutes).to_dict()

    assert said("train.py") == said("train.py", base=tmp_path / "moved", minutes=9)
    assert said("train.py") != said("train.py", "--fast")
    before = said("train.py")
    (tmp_path / "train.py").write_text("2")
    assert said("train.py") != before
    # A bare word names nothing, whatever lies beside it.
    (tmp_path / "train").mkdir()
    assert said("train") == {"command": ["python3", "train"]}


def folder_of(root: Path, **files: str) -> Path:
    (root / "conf" / "deep").mkdir(parents=True)
    for name, text in {"a.yaml": "1", "deep/b.yaml": "2", **files}.items():
        (root / "conf" / name).write_text(text)
    return root


def test_folders_are_what_they_hold_wherever_they_lie(tmp_path: Path) -> None:
    here, there = folder_of(tmp_path / "here"), folder_of(tmp_path / "there")
    mine = command("conf/", base=here)
    assert mine.to_dict() == command("conf/", base=there).to_dict() == command(str(there / "conf"), base=here).to_dict()
    assert str(tmp_path) not in json.dumps(mine.to_dict())
    assert mine.text == "python3 conf"
    mine.check()
    noise = {"conf/__pycache__/x.pyc": "9", "conf/.git/HEAD": "9", "conf/.swp": "9", "conf/runs/a/run.json": "{}"}
    for name, text in noise.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(text)
    (here / "conf" / "link").symlink_to(tmp_path)
    mine.check()


@pytest.mark.parametrize("change", ["content", "name", "new file", "gone"])
def test_a_folder_that_changes_is_no_longer_the_one_that_the_study_began_with(change: str, tmp_path: Path) -> None:
    conf = folder_of(tmp_path) / "conf"
    mine = command("conf/", base=tmp_path)
    if change == "content":
        (conf / "deep" / "b.yaml").write_text("3")
    elif change == "name":
        (conf / "a.yaml").rename(conf / "c.yaml")
    elif change == "new file":
        (conf / "log.txt").write_text("")
    else:
        shutil.rmtree(conf)
    with pytest.raises(ChangedFileError, match="conf: expected what this study began with") as caught:
        mine.check()
    assert "working directory" in str(caught.value.hint)


def test_of_a_large_folder_what_lies_beyond_the_bounds_counts_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = folder_of(tmp_path, **{"c.bin": "x" * 50}) / "conf"
    monkeypatch.setattr(own_command, "MOST_BYTES", 10)
    mine = command("conf/", base=tmp_path)
    (conf / "c.bin").write_text("y" * 50)
    mine.check()
    (conf / "c.bin").write_text("y" * 51)
    with pytest.raises(ChangedFileError):
        mine.check()
    monkeypatch.setattr(own_command, "MOST_FILES", 1)
    mine = command("conf/", base=tmp_path)
    (conf / "c.bin").unlink()
    mine.check()
    (conf / "a.yaml").write_text("2")
    with pytest.raises(ChangedFileError):
        mine.check()


def test_no_path_of_this_machine_is_told_to_people(tmp_path: Path) -> None:
    assert command("--out", "/scratch/somewhere/out", base=tmp_path).text == "python3 --out out"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "expected a command"),
        (["no-such-program-here"], "expected a command that can be run; got 'no-such-program-here'"),
        (["./mine.sh"], r"expected a command that can be run; got '\./mine\.sh'"),
        (["python3", "lost.py"], "expected a script; got 'lost.py'"),
        (["python3", "a\0b"], "expected words of a command"),
    ],
)
def test_commands_that_cannot_be_run_are_refused_at_once(words: list[str], told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=told):
        OwnTrainer.of(placed_words(words, tmp_path), minutes=1)


def test_words_are_never_looked_for_where_twinset_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("train.py", "mine.sh"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for words in (["python3", "train.py"], ["./mine.sh"]):
        with pytest.raises(UsageError, match="expected a"):
            OwnTrainer.of(words, minutes=1)
        assert OwnTrainer.of(placed_words(words, tmp_path), minutes=1).digests[-1]


def test_no_shell_reads_the_words(tmp_path: Path) -> None:
    code = "import sys; print(sys.argv[1:])" + "#/" * 3000
    words = [sys.executable, "-c", code, "$HOME;", "`id`"]
    run_command(OwnTrainer.of(placed_words(words, tmp_path), minutes=1), tmp_path, name="x")
    assert (tmp_path / "log.txt").read_text().strip() == repr(["$HOME;", "`id`", str(tmp_path / "request.json")])


def test_readers_and_schema_agree_on_a_good_answer() -> None:
    schema = documents.schema("trainer-response")
    jsonschema.validate({"schema": "twinset/trainer-response/1", "detections": [GOOD]}, schema)
    jsonschema.validate({"schema": "twinset/trainer-response/1", "maps": "out"}, schema)
    for bad in ({"detections": [{**GOOD, "extra": 1}]}, {"detections": [{**GOOD, "score": 2}]}, {"maps": 3}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"schema": "twinset/trainer-response/1", **bad}, schema)
