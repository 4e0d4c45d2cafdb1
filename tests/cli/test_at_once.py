"""What is missing is said at once: before PyTorch, or anything else that takes seconds, is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "scipy", "sklearn", "transformers", "diffusers", "pyarrow", "cv2")


def ended(code: str, models: Path) -> subprocess.CompletedProcess[str]:
    """What a process of its own says, and then which of the heavy packages it has loaded."""
    told = f"import sys\n{code}\nprint([name for name in {HEAVY} if name in sys.modules])"
    environment = {**os.environ, "TWINSET_MODELS": str(models), "HF_HUB_CACHE": str(models / "hub")}
    return subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False, env=environment)


def called(words: list[str], models: Path) -> subprocess.CompletedProcess[str]:
    code = f"from twinset import cli\nsys.argv = {['twinset', *words]!r}\n"
    code += "try: cli.main()\nexcept SystemExit as error: print(error.code)"
    return ended(code, models)


@pytest.mark.parametrize(
    ("asked", "file", "digest"),
    [
        (["--extractor", "clip"], "clip/model.safetensors", "a6308213"),
        (["--extractor", "dinov2"], "dinov2/model.safetensors", "ae1e99fc"),
        (["--extractor", "inception"], "inception.safetensors", "0cc3c7bd"),
        (["--extractor", "resnet50"], "resnet50.safetensors", "11ad3fa6"),
        (["--metrics", "perceptual"], "alexnet.safetensors", "7be5be79"),
        (["--metrics", "text"], "clip/model.safetensors", "a6308213"),
        (["--metrics", "inception,spatial"], "inception.safetensors", "0cc3c7bd"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_missing_weights_are_named_with_their_digest_before_anything_large_is_loaded(
    asked: list[str], file: str, digest: str, tmp_path: Path
) -> None:
    shown = called(["compare", "nowhere", "there", *asked], tmp_path)
    assert shown.stdout.splitlines() == ["3", "[]"], shown.stderr
    assert f"error: {tmp_path / file}: expected " in shown.stderr
    assert f"sha256 begins with {digest}" in shown.stderr


def test_a_leaderboard_names_missing_weights_at_once(tmp_path: Path) -> None:
    shown = called(["leaderboard", "a", "b", "--real", "c", "--extractor", "clip"], tmp_path)
    assert shown.stdout.splitlines() == ["3", "[]"], shown.stderr


def test_python_names_missing_weights_at_once(tmp_path: Path) -> None:
    code = "import twinset\ntry: twinset.compare('nowhere', 'there', extractor='clip')\n"
    code += "except twinset.TwinsetError as error: print(error.exit_code)"
    shown = ended(code, tmp_path)
    assert shown.stdout.splitlines() == ["3", "[]"], shown.stderr


def test_two_networks_that_are_missing_are_both_named(tmp_path: Path) -> None:
    shown = called(["compare", "nowhere", "there", "--metrics", "perceptual,inception"], tmp_path)
    assert shown.stdout.splitlines() == ["3", "[]"]
    assert "alexnet.safetensors: expected" in shown.stderr
    assert "inception.safetensors: expected" in shown.stderr


@pytest.mark.slow
def test_what_needs_no_weights_is_still_measured_beside_what_lacks_them(tmp_path: Path) -> None:
    shown = called(["compare", "nowhere", "there", "--metrics", "kid,perceptual"], tmp_path)
    assert shown.stdout.splitlines()[0] == "4"
    assert "nowhere: expected a dataset; got no such file" in shown.stderr


def test_an_extractor_that_learns_asks_for_training_images_before_anything_is_read(tmp_path: Path) -> None:
    shown = called(["compare", "nowhere", "there", "--extractor", "self"], tmp_path)
    assert shown.stdout.splitlines() == ["2", "[]"]
    assert "expected --train with --extractor self" in shown.stderr
