"""The rating page: what it shows, what it keeps, and what it refuses."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests.pipeline.rating.conftest import HOSTILE, document

from twinset import documents
from twinset.errors import DataError, ImageError, UsageError
from twinset.images import decode
from twinset.pipeline.rating import check_metadata, server
from twinset.pipeline.rating.pictures import drawn, picture_files
from twinset.pipeline.rating.records import Ratings, rated
from twinset.pipeline.rating.server import POLICY, Reply, Site, server_of


def form(site: Site, **ratings: object) -> bytes:
    return urlencode({"token": site.token, **{f"rating:{k}": v for k, v in ratings.items()}}).encode()


def text(reply: Reply) -> str:
    assert reply.status == HTTPStatus.OK
    return reply.body.decode()


def test_a_page_shows_values_with_units_and_warnings_and_escapes_every_name(site: Site) -> None:
    page = text(site.get("/image/0"))
    assert "<b>0.712</b>" in page
    assert re.search(r"distance metres <span[^>]*>of the numbered objects, m</span> <span[^>]*>domain shift", page)
    assert "<td>3.5</td>" in page
    assert HOSTILE not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert HOSTILE not in text(site.get("/summary"))
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!/)', page)


def test_answers_are_kept_at_once_and_lead_to_the_next_unrated_image(site: Site) -> None:
    assert site.get("/").location == "/image/0"
    reply = site.post("/rate/0", form(site, ambient=4, distance_metres=0, shape_id=""))
    assert (reply.status, reply.location) == (HTTPStatus.SEE_OTHER, "/image/1")
    stored = json.loads(site.ratings.path.read_bytes())
    assert stored["ratings"] == {"part/a.png": {"ambient": 4, "distance_metres": 0}}
    assert 'name="rating:distance_metres" value="0" checked' in text(site.get("/image/0"))
    site.post("/rate/2", form(site, ambient=5))
    assert site.get("/").location == "/image/1"
    # Nothing can be told of the last one: that is the end all the same.
    assert site.post("/rate/1", form(site)).location == "/summary"
    assert site.post("/rate/1", form(site, ambient=3)).location == "/summary"


def test_taking_all_answers_back_makes_an_image_unrated(site: Site) -> None:
    site.post("/rate/0", form(site, ambient=4))
    site.post("/rate/0", form(site))
    assert len(site.ratings) == 0
    assert site.get("/").location == "/image/0"


@pytest.mark.parametrize("value", ["6", "-1", "4.5", "05", "٣", "true"])
def test_other_ratings_than_0_to_5_are_refused(site: Site, value: str) -> None:
    assert site.post("/rate/0", form(site, ambient=value)).status == HTTPStatus.BAD_REQUEST
    assert not site.ratings.path.exists()


def test_a_form_without_the_token_changes_nothing(site: Site) -> None:
    for body in (b"rating%3Aambient=4", form(site, ambient=4).replace(site.token.encode(), b"other"), b"token=\xff"):
        assert site.post("/rate/0", body).status in (HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST)
    assert not site.ratings.path.exists()


@pytest.mark.parametrize(
    "path", ["/image/3", "/image/-1", "/image/x", "/picture/../inference.json", "/picture/%2e%2e", "/image/²", "/etc"]
)
def test_nothing_but_its_own_pages_is_served(site: Site, path: str) -> None:
    assert site.get(path).status == HTTPStatus.NOT_FOUND


def test_pictures_are_drawn_larger_with_their_objects(site: Site) -> None:
    reply = site.get("/picture/0")
    assert (reply.status, reply.kind) == (HTTPStatus.OK, "image/png")
    plain = decode(site.get("/picture/2").body)
    marked = decode(reply.body)
    assert marked.shape == plain.shape == (320, 400, 3)


def test_files_outside_the_folder_are_not_found(photos: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    (photos / "c.png").rename(secret)
    (photos / "c.png").symlink_to(secret)
    found = picture_files(photos, document().images)
    assert [path is None for path in found] == [False, False, True]


def test_a_file_that_could_be_of_another_image_is_not_shown(tmp_path: Path, photos: Path) -> None:
    """Pictures of ``train`` and ``val`` have the same names, and the folder holds those of one of them."""
    names = ["train/a", "val/a", "other/b"]
    found = picture_files(photos, [document().images[0].model_copy(update={"id": name}) for name in names])
    assert [None if path is None else path.name for path in found] == [None, None, "b.jpg"]
    (photos / "b.png").write_bytes((photos / "c.png").read_bytes())
    assert [path is None for path in picture_files(photos, document().images)] == [False, True, False]


def test_a_huge_folder_is_refused_before_it_is_read_to_its_end(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(folder: Path, _: str) -> Iterator[Path]:
        yield from (folder / f"{number}.txt" for number in range(11))
        raise AssertionError("read on")

    monkeypatch.setattr("twinset.pipeline.rating.pictures.MOST_FILES", 10)
    monkeypatch.setattr(Path, "rglob", endless)
    with pytest.raises(DataError, match="expected at most 10 files"):
        picture_files(photos, document().images)


def test_a_huge_file_is_refused_unread(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinset.pipeline.rating.pictures.MAX_FILE_BYTES", 20)
    monkeypatch.delattr(Path, "read_bytes")
    with pytest.raises(ImageError, match=r"b\.jpg: expected at most 20 bytes"):
        drawn(photos / "b.jpg", document().images[1])


def test_a_folder_of_other_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"expected files named as the images, such as 'part/a\.png'"):
        picture_files(tmp_path / "empty", document().images)
    with pytest.raises(DataError, match="expected a folder of pictures"):
        picture_files(tmp_path / "nothing", document().images)


def test_damaged_and_foreign_pictures_are_told(site: Site, photos: Path) -> None:
    (photos / "c.png").write_bytes((photos / "c.png").read_bytes()[:60])
    assert site.get("/picture/2").status == HTTPStatus.UNPROCESSABLE_ENTITY
    other = document().images[2].model_copy(update={"size": (81, 100)})
    with pytest.raises(ImageError, match="expected 100 x 81 pixels; got 100 x 80"):
        drawn(photos / "b.jpg", other)


def test_ratings_go_on_and_those_of_another_inference_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    Ratings.opened(path, "one").rate("a", {"depth": 5})
    assert Ratings.opened(path, "one").of("a") == {"depth": 5}
    with pytest.raises(DataError, match="ratings of this inference"):
        Ratings.opened(path, "two")
    path.write_text('{"ratings": 3}')
    with pytest.raises(DataError, match="expected ratings"):
        Ratings.opened(path, "one")


def test_two_pages_at_a_time_do_not_undo_each_other(tmp_path: Path) -> None:
    first, second = (Ratings.opened(tmp_path / "r.json", "one") for _ in range(2))
    first.rate("a", {"depth": 5})
    second.rate("b", {"depth": 1})
    assert {name: Ratings.opened(tmp_path / "r.json", "one").of(name)["depth"] for name in "ab"} == {"a": 5, "b": 1}
    assert second.of("a") == {"depth": 5}


RATES = """
import sys, time
from pathlib import Path
from twinset.pipeline.rating.records import Ratings
path, own, other = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
ratings = Ratings.opened(path, "one")
path.with_name(own).touch()
while not path.with_name(other).exists():
    time.sleep(0.001)
for number in range(60):
    ratings.rate(f"{own}-{number}", {"depth": 3})
"""


def test_two_processes_at_once_lose_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    pairs = (("first", "second"), ("second", "first"))
    both = [subprocess.Popen([sys.executable, "-c", RATES, str(path), *pair]) for pair in pairs]
    assert [one.wait(60) for one in both] == [0, 0]
    assert len(Ratings.opened(path, "one")) == 120
    assert sorted(found.name for found in tmp_path.iterdir()) == ["first", "r.json", "second"]


def test_means_have_student_intervals_over_images() -> None:
    one = rated("depth", [3, 4, 5, 4])
    assert one.mean == 4
    assert one.low == pytest.approx(4 - 3.1824 * (2 / 3) ** 0.5 / 2, abs=1e-3)
    assert one.high == 5
    assert (rated("depth", [3]).low, rated("depth", []).mean, rated("depth", [2, 2, 2]).low) == (None, None, None)


def asked(address: str, method: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
    host = address.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request(method, path, body, {"Host": host, **{k.replace("_", "-"): v for k, v in headers.items()}})
    return connection.getresponse()


def test_other_pages_and_rebound_names_are_refused(serving: Callable[[], str], site: Site) -> None:
    address = serving()
    kept = form(site, ambient=4)
    assert asked(address, "GET", "/image/0", Host="evil.example").status == HTTPStatus.FORBIDDEN
    assert asked(address, "POST", "/rate/0", kept, Origin="http://evil.example").status == HTTPStatus.FORBIDDEN
    assert asked(address, "POST", "/rate/0", kept, Origin="null").status == HTTPStatus.FORBIDDEN
    assert len(site.ratings) == 0
    assert asked(address, "POST", "/rate/0", kept, Origin=address).status == HTTPStatus.SEE_OTHER
    assert len(site.ratings) == 1
    page = asked(address, "GET", "/image/0")
    assert page.headers["Content-Security-Policy"] == POLICY
    assert "script" not in POLICY
    assert asked(address, "POST", "/rate/0", b"x" * (1 << 17)).status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert asked(address, "PUT", "/rate/0", b"").status == HTTPStatus.NOT_IMPLEMENTED


def test_browsers_leave_out_the_usual_port(
    serving: Callable[[], str], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = serving()
    assert asked(address, "GET", "/image/0", Host="localhost").status == HTTPStatus.FORBIDDEN
    monkeypatch.setattr(server, "HTTP_PORT", int(address.rpartition(":")[2]))
    for host in ("localhost", "127.0.0.1"):
        assert asked(address, "GET", "/image/0", Host=host).status == HTTPStatus.OK
        reply = asked(address, "POST", "/rate/0", form(site, ambient=4), Host=host, Origin=f"http://{host}")
        assert reply.status == HTTPStatus.SEE_OTHER
    assert asked(address, "GET", "/image/0", Host="evil.example").status == HTTPStatus.FORBIDDEN


def test_a_connection_that_says_nothing_holds_nobody_up(serving: Callable[[], str]) -> None:
    """Browsers open connections before they need them."""
    host, _, port = serving().removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))):
        assert asked(serving(), "GET", "/image/0").status == HTTPStatus.OK


@pytest.mark.parametrize(
    ("length", "status"), [("9" * 5000, HTTPStatus.REQUEST_ENTITY_TOO_LARGE), ("900", HTTPStatus.BAD_REQUEST)]
)
def test_forms_of_a_false_length_are_refused_and_not_kept(
    serving: Callable[[], str], site: Site, length: str, status: HTTPStatus
) -> None:
    """The second broke off behind its first answers."""
    host, _, port = serving().removeprefix("http://").partition(":")
    head = f"POST /rate/0 HTTP/1.0\r\nHost: {host}:{port}\r\nContent-Length: {length}\r\n\r\n".encode()
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head + form(site, ambient=4))
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(64).split()[1] == str(int(status)).encode()
    assert len(site.ratings) == 0


def test_a_browser_that_goes_away_is_not_told_as_an_error(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for error in (BrokenPipeError(), KeyError("ours")):
        with server_of(site, 0) as server, socket.socket() as request:
            try:
                raise error
            except (OSError, KeyError):
                server.handle_error(request, ("127.0.0.1", 1))
        told.append(capsys.readouterr().err)
    assert told[0] == ""
    assert "KeyError: 'ours'" in told[1]


def test_a_folder_stands_for_the_inference_in_it(written: Path, photos: Path) -> None:
    assert check_metadata(written.parent, images=photos, serve=False).inference_file == str(written)


def test_a_damaged_inference_is_one_clear_line(tmp_path: Path, photos: Path) -> None:
    path = tmp_path / "x.json"
    for content in ("", "{}", '{"schema": "twinset/run/1"}', "[" * 100_000):
        path.write_text(content)
        with pytest.raises(DataError, match="expected a file of `twinset infer-metadata`"):
            check_metadata(path, images=photos, serve=False)
    with pytest.raises(DataError, match="expected inferred metadata"):
        check_metadata(tmp_path, images=photos, serve=False)


def test_a_taken_port_and_a_clash_of_files_are_refused(serving: Callable[[], str], written: Path, photos: Path) -> None:
    with pytest.raises(UsageError, match="expected a free port"):
        check_metadata(written, images=photos, port=int(serving().rpartition(":")[2]))
    with pytest.raises(UsageError, match="the inference itself"):
        check_metadata(written, images=photos, ratings=written)


@pytest.mark.slow
def test_ctrl_c_ends_with_the_summary(written: Path, photos: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "twinset.cli", "check-metadata", str(written), "--images", str(photos), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    address = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
    assert address is not None
    page = asked(address.group(), "GET", "/image/0").read().decode()
    token = re.search(r'name="token" value="([^"]+)"', page)
    assert token is not None
    body = urlencode({"token": token.group(1), "rating:ambient": 3}).encode()
    assert asked(address.group(), "POST", "/rate/0", body).status == HTTPStatus.SEE_OTHER
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    found = documents.CheckMetadataDocument.model_validate_json(out)
    assert (found.rated, found.measures[0].mean) == (1, 3.0)
    assert "Traceback" not in err
