"""Somebody else's data: every bad input ends in one clear line and exit code 4, and nothing outside is read."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import tarfile
import textwrap
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from twinset.errors import DataError, DatasetFormatError, ImageError, TwinsetError, UnknownNameError
from twinset.formats import read
from twinset.images import encode_png

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX links and pipes")


def png(seed: int = 0) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(0, 256, (8, 8, 1), dtype=np.uint8))


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def good(root: Path) -> None:
    for number, label in enumerate(["cat", "cat", "dog", "dog"]):
        put(root / label / f"{number}.png", png(number))


def jpeg(mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((32, 32), 80).convert(mode).save(buffer, format="JPEG", **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def bomb(width: int = 50_000, height: int = 50_000) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 4096)) + chunk(b"IEND", b"")


def tar(path: Path, *members: tuple[str, bytes | None], kind: bytes = tarfile.REGTYPE, target: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            if data is None:
                member.type, member.linkname = kind, target
                archive.addfile(member)
            else:
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def table(root: Path, text: str | bytes, name: str = "labels.csv") -> None:
    put(root / "a.png", png(1))
    put(root / "b.png", png(2))
    put(root / name, text.encode() if isinstance(text, str) else text)


def nested(root: Path) -> None:
    table(root, '{"path": "a.png", "label": "x"}\n' + "[" * 100_000 + "\n", "labels.jsonl")


def same_tar_key(root: Path) -> None:
    tar(root / "s.tar", ("a.png", png()), ("a.cls", b"0"), ("b.png", png(1)), ("a.png", png(2)))


def parquet(root: Path, rows: dict[str, list[object]], schema: pa.Schema | None = None) -> None:
    root.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(rows, schema=schema), root / "train.parquet")


BAD: dict[str, tuple[Callable[[Path], object], type[TwinsetError], str]] = {
    "truncated JPEG": (
        lambda r: put(r / "cat/bad.jpg", jpeg()[:400]),
        ImageError,
        "cat/bad.jpg: expected a whole pict",
    ),
    "truncated PNG": (lambda r: put(r / "cat/bad.png", png()[:60]), ImageError, "cat/bad.png: expected a whole pict"),
    "empty file": (lambda r: put(r / "cat/bad.png", b""), ImageError, "expected a picture; got an empty file"),
    "text named .png": (lambda r: put(r / "cat/bad.png", b"hello"), ImageError, "got bytes of another kind"),
    "HTML named .jpg": (lambda r: put(r / "cat/bad.jpg", b"<html>404</html>"), ImageError, "got bytes of another kind"),
    "bomb": (lambda r: put(r / "cat/bad.png", bomb()), ImageError, "expected at most 64000000 pixels"),
    "small bomb": (lambda r: put(r / "cat/bad.png", bomb(9_000, 9_000)), ImageError, "got 9000 x 9000"),
    "EPS": (lambda r: put(r / "cat/bad.png", b"%!PS-Adobe-3.0 EPSF-3.0\n"), ImageError, "got bytes of another kind"),
    "empty class folder": (lambda r: (r / "owl").mkdir(), DatasetFormatError, "owl: expected pictures in this folder"),
    "folder of notes": (lambda r: put(r / "owl/a.txt", b"x"), DatasetFormatError, "owl: expected pictures in this f"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_is_refused_with_its_name(name: str, tmp_path: Path) -> None:
    make, kind, words = BAD[name]
    good(tmp_path)
    make(tmp_path)
    assert_one_line(tmp_path, kind, words)
    dataset, report = read(tmp_path, on_bad_input="skip")
    assert len(dataset) == 4
    assert dataset.classes == ("cat", "dog")
    assert len(report.bad_files) == 1


CSV = DatasetFormatError
TABLES: dict[str, tuple[Callable[[Path], object], type[TwinsetError], str]] = {
    "missing file": (
        lambda r: table(r, "path,label\na.png,x\nz.png,y\n"),
        CSV,
        "labels.csv:3: z.png: expected a readable file",
    ),
    "same path twice": (
        lambda r: table(r, "path,label\na.png,x\na.png,x\n"),
        CSV,
        "labels.csv:3: expected each pictur",
    ),
    "contradiction": (lambda r: table(r, "path,label\na.png,x\na.png,y\n"), CSV, "the class 'y' for what was 'x'"),
    "same id twice": (lambda r: table(r, "path,label,id\na.png,x,1\nb.png,x,1\n"), CSV, "expected unique ids; got '1'"),
    "wrong columns": (lambda r: table(r, "a,b\n1,2\n"), CSV, "expected the columns path and label; got a, b"),
    "no label": (
        lambda r: table(r, "path,label\na.png,\nb.png,x\n"),
        CSV,
        "labels.csv:2: expected a label; got an emp",
    ),
    "ragged row": (lambda r: table(r, "path,label\na.png,x\nb.png\n"), CSV, "labels.csv:3: expected 2 columns; got 1"),
    "open quote": (lambda r: table(r, 'path,label\na.png,x\n"b.png,y\n'), CSV, "labels.csv:3: expected a table"),
    "Latin-1": (lambda r: table(r, "path,label\na.png,é\n".encode("latin-1")), CSV, "labels.csv:2: expected UTF-8"),
    "climbs out": (lambda r: table(r, "path,label\n../x.png,x\n"), CSV, "labels.csv:2: expected a path inside the dat"),
    "backslashes": (lambda r: table(r, "path,label\n..\\x.png,x\n"), CSV, "which climbs out with .."),
    "absolute": (lambda r: table(r, "path,label\n/etc/passwd,x\n"), CSV, "got the absolute path '/etc/passwd'"),
    "drive": (lambda r: table(r, "path,label\nC:\\x.png,x\n"), CSV, "got the absolute path 'C:"),
    "address": (lambda r: table(r, "path,label\nhttp://h/x.png,x\n"), CSV, "got the address 'http://h/x.png'"),
    "NUL": (lambda r: table(r, "path,label\na\0.png,x\n"), CSV, "labels.csv:2: expected a path"),
    "folder as file": (
        lambda r: ((r / "d").mkdir(), table(r, "path,label\nd,x\n")),
        CSV,
        "expected a plain file; got a folder",
    ),
    "unknown split": (lambda r: table(r, "path,label,split\na.png,x,fold3\n"), CSV, "expected a split out of train"),
    "header only": (lambda r: table(r, "path,label\n"), CSV, "expected pictures; got none"),
    "empty table": (lambda r: table(r, ""), CSV, "expected the columns path and label; got none"),
    "bad JSON line": (
        lambda r: table(r, '{"path": "a.png", "label": "x"}\n{"path": \n', "labels.jsonl"),
        CSV,
        "labels.jsonl:2: expected one JSON object a line",
    ),
    "JSON list": (
        lambda r: table(r, '{"path": "a.png", "label": "x"}\n[1]\n', "labels.jsonl"),
        CSV,
        "labels.jsonl:2: expected one JSON object a line; got list",
    ),
    "two labels": (
        lambda r: table(r, '{"path": "a.png", "label": ["x", "y"]}\n', "labels.jsonl"),
        CSV,
        "labels.jsonl:1: expected one label; got list",
    ),
    "deep JSON": (nested, CSV, "labels.jsonl:2: expected one JSON object a line; got nesting without end"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_bad_table_is_refused_with_file_and_line(name: str, tmp_path: Path) -> None:
    make, kind, words = TABLES[name]
    make(tmp_path)
    assert_one_line(next(tmp_path.glob("labels.*")), kind, words)


IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
ARCHIVES: dict[str, tuple[Callable[[Path], object], type[TwinsetError], str]] = {
    "tar member climbs": (lambda r: tar(r / "s.tar", ("../a.png", png())), CSV, "s.tar: ../a.png: expected a path ins"),
    "absolute tar member": (lambda r: tar(r / "s.tar", ("/a.png", png())), CSV, "got the absolute path '/a.png'"),
    "link in tar": (
        lambda r: tar(r / "s.tar", ("a.png", None), kind=tarfile.SYMTYPE, target="/etc/passwd"),
        CSV,
        "s.tar: a.png: expected a plain file; got a link or device",
    ),
    "hard link in tar": (
        lambda r: tar(r / "s.tar", ("a.png", None), kind=tarfile.LNKTYPE, target="../../x"),
        CSV,
        "expected a plain file; got a link or device",
    ),
    "device in tar": (lambda r: tar(r / "s.tar", ("a.png", None), kind=tarfile.CHRTYPE), CSV, "got a link or device"),
    "tar of text": (lambda r: put(r / "s.tar", b"not a tar" * 200), CSV, "expected a whole, uncompressed tar file"),
    "tar cut off": (
        lambda r: (tar(r / "s.tar", ("a.png", png() * 40)), os.truncate(r / "s.tar", 700)),
        CSV,
        "expected a whole, uncompressed tar file",
    ),
    "label without picture": (lambda r: tar(r / "s.tar", ("a.cls", b"1")), CSV, "expected one picture a key; got 0"),
    "two pictures a key": (
        lambda r: tar(r / "s.tar", ("a.png", png()), ("a.jpg", jpeg())),
        CSV,
        "expected one picture a key; got 2",
    ),
    "same tar key twice": (same_tar_key, CSV, "expected unique ids; got 's/a' again"),
    "bad JSON in tar": (
        lambda r: tar(r / "s.tar", ("a.png", png()), ("a.json", b"{")),
        CSV,
        "s.tar: a: expected the member .json as JSON",
    ),
    "text as Parquet": (lambda r: put(r / "train.parquet", b"PAR1" + b"x" * 90), CSV, "expected a Parquet file; got"),
    "Parquet without bytes": (
        lambda r: parquet(
            r, {"image": [None], "label": [0]}, pa.schema([("image", pa.binary()), ("label", pa.int64())])
        ),
        CSV,
        "train.parquet:1: expected the bytes of a picture; got none",
    ),
    "path in Parquet climbs": (
        lambda r: parquet(
            r,
            {"image": [{"bytes": None, "path": "../x.png"}], "label": [0]},
            pa.schema([("image", IMAGE), ("label", pa.int64())]),
        ),
        CSV,
        "train.parquet:1: expected a path inside the dataset folder",
    ),
    "zip": (lambda r: put(r / "data.zip", b"PK\x03\x04" + b"x" * 64), CSV, "expected pictures; got none"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_bad_archive_is_refused(name: str, tmp_path: Path) -> None:
    make, kind, words = ARCHIVES[name]
    make(tmp_path)
    assert_one_line(tmp_path, kind, words)


def test_what_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    put(tmp_path / "data.zip", b"PK\x03\x04")
    assert_one_line(tmp_path / "absent", DatasetFormatError, "expected a dataset; got no such file or folder")
    assert_one_line(tmp_path / "empty", DatasetFormatError, "expected pictures; got none")
    assert_one_line(tmp_path / "data.zip", DatasetFormatError, "unpack it and give the folder")
    with pytest.raises(UnknownNameError, match="did you mean 'digits'") as caught:
        read("builtin:digit")
    assert caught.value.exit_code == 2


def test_corrupt_parquet_data_keeps_the_rows_before(tmp_path: Path) -> None:
    rows = pa.table({"image": [png(n) for n in range(600)], "label": [n % 2 for n in range(600)]})
    path = tmp_path / "train.parquet"
    pq.write_table(rows, path, row_group_size=100, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = os.urandom(20_000)
    path.write_bytes(bytes(data))
    dataset, report = read(path, on_bad_input="skip")
    assert 0 < len(dataset) < 600
    assert report.bad_files


def odd(name: str) -> bytes:
    """One of the pictures that are unusual and fine."""
    buffer = io.BytesIO()
    grey = Image.effect_noise((10, 6), 90)
    if name == "16-bit":
        Image.fromarray(np.arange(60, dtype=np.uint16).reshape(6, 10) * 1000).save(buffer, format="PNG")
    elif name == "palette":
        grey.convert("RGB").quantize(16).save(buffer, format="PNG")
    elif name == "palette+transparency":
        grey.convert("RGB").quantize(16).save(buffer, format="PNG", transparency=3)
    elif name == "rotated":
        exif = Image.Exif()
        exif[0x0112] = 6
        grey.convert("RGB").save(buffer, format="JPEG", exif=exif)
    elif name == "CMYK":
        grey.convert("CMYK").save(buffer, format="JPEG")
    else:
        frames = [Image.effect_noise((10, 6), 90) for _ in range(3)]
        frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "suffix", "mode", "shape"),
    [
        ("16-bit", ".png", "I;16", (6, 10, 1)),
        ("palette", ".png", "P", (6, 10, 3)),
        ("palette+transparency", ".png", "P+transparency", (6, 10, 3)),
        ("rotated", ".jpg", "RGB rotated", (10, 6, 3)),
        ("CMYK", ".jpg", "CMYK", (6, 10, 3)),
        ("animated", ".gif", "L", (6, 10, 3)),
    ],
)
def test_unusual_pictures_are_read_and_counted_by_mode(
    name: str, suffix: str, mode: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    put(tmp_path / "cat" / f"odd{suffix}", odd(name))
    put(tmp_path / "dog/1.png", png())
    dataset, report = read(tmp_path)
    assert report.stats.modes.get(mode) or name == "animated"
    assert name != "animated" or report.stats.encodings["GIF animated"] == 1
    pixels = dataset[dataset.row_of(f"cat/odd{suffix}")].pixels()
    assert pixels.shape[:2] == shape[:2]


def test_hostile_names_are_text_in_one_line(tmp_path: Path) -> None:
    script = "<script>alert(1)</script>".replace("/", "\u2215")
    good(tmp_path)
    put(tmp_path / script / "1.png", png(7))
    dataset, _ = read(tmp_path)
    assert script in dataset.classes


@posix
def test_control_characters_in_names_are_written_out(tmp_path: Path) -> None:
    good(tmp_path)
    put(tmp_path / "evil\n\x1b[31m" / "1.png", png(8))
    put(tmp_path / "cat" / "bad\nname.png", b"")
    dataset, report = read(tmp_path, on_bad_input="skip")
    assert "evil\\n\\x1b[31m" in dataset.classes
    assert report.renamed_classes == {"evil\\n\\x1b[31m": "evil\n\x1b[31m"}
    assert "\n" not in "".join([*map(str, report.bad_files), *report.warnings, *dataset.ids])


@posix
def test_a_file_name_that_is_no_text_is_a_bad_file(tmp_path: Path) -> None:
    good(tmp_path)
    try:
        Path(os.fsdecode(bytes(tmp_path / "cat") + b"/\xff.png")).write_bytes(png(9))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert_one_line(tmp_path, DatasetFormatError, "expected a file name in UTF-8")


@posix
def test_links_in_a_circle_and_pipes_end_at_once(tmp_path: Path) -> None:
    good(tmp_path)
    (tmp_path / "cat/a.png").symlink_to("b.png")
    (tmp_path / "cat/b.png").symlink_to("a.png")
    (tmp_path / "dog/up").symlink_to("..")
    os.mkfifo(tmp_path / "cat/pipe.png")
    dataset, report = read(tmp_path, on_bad_input="skip")
    assert len(dataset) == 4
    assert report.ignored["link"] == 1
    problems = " ".join(bad.problem for bad in report.bad_files)
    assert "leads in a circle" in problems
    assert "pipe or device" in problems


@posix
def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    good(tmp_path)
    (tmp_path / "cat/again.png").symlink_to("0.png")
    dataset, _ = read(tmp_path)
    assert len(dataset) == 5


@posix
def test_unreadable_files_are_bad_files(tmp_path: Path) -> None:
    good(tmp_path)
    (tmp_path / "cat/0.png").chmod(0)
    if os.access(tmp_path / "cat/0.png", os.R_OK):
        pytest.skip("this user reads everything")
    assert_one_line(tmp_path, DatasetFormatError, "expected a readable file; got Permission denied")


WATCH = """
import sys
outside, opened = sys.argv[1], []
def hook(event, args):
    if event in ("open", "os.listdir", "os.scandir") and args and isinstance(args[0], (str, bytes)):
        import os
        path = os.path.realpath(os.fsdecode(args[0]))
        if path.startswith(outside):
            opened.append(path)
sys.addaudithook(hook)
from twinset.formats import read
total = 0
for source in sys.argv[2:]:
    dataset, report = read(source, on_bad_input="report")
    total += len(dataset)
    for sample in dataset:
        sample.pixels()
print(total, len(opened), *opened)
"""


@posix
def test_nothing_outside_the_dataset_folder_is_opened(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    put(outside / "secret.png", png(50))
    parquet(outside / "tables", {"image": [png(51)], "label": [0]})
    good(root / "folders")
    (root / "folders/cat/file.png").symlink_to(outside / "secret.png")
    (root / "folders/cat/relative.png").symlink_to("../../../outside/secret.png")
    (root / "folders/cat/chain.png").symlink_to("relative.png")
    (root / "folders/stolen").symlink_to(outside, target_is_directory=True)
    table(root / "table", "path,label\na.png,x\nlink/secret.png,x\nlink.png,x\n../../outside/secret.png,x\n")
    (root / "table/link").symlink_to(outside, target_is_directory=True)
    (root / "table/link.png").symlink_to(outside / "secret.png")
    tar(root / "tar/s.tar", ("a.png", png(3)), ("b.png", None), kind=tarfile.SYMTYPE, target=str(outside))
    good(root / "parquet")
    (root / "parquet/data").symlink_to(outside / "tables", target_is_directory=True)
    sources = [str(root / name) for name in ("folders", "table", "tar")]
    script = [sys.executable, "-c", textwrap.dedent(WATCH), str(outside), *sources]
    done = subprocess.run(script, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["6", "0"]
    assert_one_line(root / "parquet", DatasetFormatError, "got a link that leads outside")


def test_reading_leaves_the_warning_filters_as_they_were(tmp_path: Path) -> None:
    for number in range(200):
        put(tmp_path / "cat" / f"{number}.png", png(number))
    before = list(warnings.filters)
    read(tmp_path)
    assert list(warnings.filters) == before


def assert_one_line(source: Path, kind: type[TwinsetError], words: str) -> None:
    with pytest.raises(kind) as caught:
        read(source)
    error = caught.value
    assert isinstance(error, DataError)
    assert error.exit_code == 4
    text = str(error)
    assert words in text
    assert "\n" not in text
    assert "expected" in text
    assert "got" in text


def test_an_animation_cut_off_after_its_first_frame_is_a_bad_picture(tmp_path: Path) -> None:
    good(tmp_path)
    whole = odd("animated")
    for number, cut in enumerate(range(len(whole) // 3, len(whole) - 1)):
        put(tmp_path / "gif" / f"{number}.gif", whole[:cut])
    dataset, report = read(tmp_path, on_bad_input="skip")
    problems = {bad.problem for bad in report.bad_files}
    assert all(problem.startswith("expected a whole picture; got ") for problem in problems)
    assert len(dataset) + len(report.bad_files) == 4 + number + 1
    assert any("index out of range" in problem or "unpack" in problem for problem in problems)


@pytest.mark.parametrize(
    "cells",
    [
        r'"caption": "nice \ud83d"',
        r'"id": "\ud83d1"',
        r'"note\ud83d": 1',
        r'"note": "\udcff"',
        r'"attributes": {"a": "\ud83d"}',
        r'"method": "\ud83d", "seed": 1, "recipe_digest": "d", "parents": [], "licence": ""',
        r'"method": "m", "seed": 1, "recipe_digest": "d", "parents": ["\ud83d"], "licence": ""',
    ],
)
def test_text_that_utf8_cannot_hold_is_a_bad_entry(cells: str, tmp_path: Path) -> None:
    table(tmp_path, f'{{"path": "a.png", "label": "x"}}\n{{"path": "b.png", "label": "x", {cells}}}\n', "labels.jsonl")
    assert_one_line(tmp_path / "labels.jsonl", DatasetFormatError, "labels.jsonl:2: b.png: expected ")
    dataset, _ = read(tmp_path / "labels.jsonl", on_bad_input="skip")
    assert dataset.ids == ["a.png"]


def test_a_number_of_thousands_of_digits_is_a_name_like_others(tmp_path: Path) -> None:
    long = "1" * 5000
    table(tmp_path, f"path,label\na.png,{long}\nb.png,00{long[1:]}\n")
    assert read(tmp_path / "labels.csv")[0].classes == (f"00{long[1:]}", long)


@posix
def test_folders_nested_without_end_are_walked(tmp_path: Path) -> None:
    good(tmp_path)
    places = [tmp_path / "deep"]
    for _ in range(600):
        places.append(places[-1] / "d")
    for place in places:
        place.mkdir()
    put(places[-1] / "1.png", png(9))
    try:
        dataset, _ = read(tmp_path)
    finally:  # shutil.rmtree is recursive
        (places[-1] / "1.png").unlink()
        for place in reversed(places):
            place.rmdir()
    assert dataset.class_counts() == {"cat": 2, "deep" + "/d" * 600: 1, "dog": 2}


@posix
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["a.tar", "train.parquet", "labels.csv", "classes.json", "provenance.jsonl"])
def test_pipes_do_not_hang(name: str, tmp_path: Path) -> None:
    if name != "a.tar":
        good(tmp_path)
    os.mkfifo(tmp_path / name)
    if name == "labels.csv":
        assert len(read(tmp_path)[0]) == 4
    else:
        assert_one_line(tmp_path, DatasetFormatError, f"{name}: expected a plain file; got a folder, pipe or device")


@posix
@pytest.mark.parametrize("name", ["train.parquet", "s.tar", "labels.csv"])
def test_a_link_that_the_user_names_is_followed(name: str, tmp_path: Path) -> None:
    real = tmp_path / "real"
    parquet(real, {"image": [png(1)], "label": [0]})
    tar(real / "s.tar", ("a.png", png(2)))
    table(real, "path,label\na.png,x\n")
    (real / name).rename(real / "blob")
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / name).symlink_to(real / "blob")
    dataset, _ = read(tmp_path / "named" / name)
    assert len(dataset) == 1
    assert dataset[0].pixels().shape == (8, 8, 1)
    assert dataset.splits == ["train" if name == "train.parquet" else None]
