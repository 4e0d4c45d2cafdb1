"""A tiny CLIP with random weights and a handful of words is built here, saved, and loaded back as a user's would be."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from twinset.embedding.clip_text import ClipText
from twinset.embedding.pretrained import Pretrained
from twinset.errors import MissingExtraError, MissingModelError

BEGIN, END = "<|startoftext|>", "<|endoftext|>"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("clip")
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "do", "dog</w>", BEGIN, END]
    vocabulary = {word: number for number, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\nd o\ndo g</w>\n")
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config={
            **size,
            "vocab_size": len(words),
            "max_position_embeddings": 12,
            "projection_dim": 8,
            "bos_token_id": vocabulary[BEGIN],
            "eos_token_id": vocabulary[END],
            "pad_token_id": vocabulary[END],
        },
        vision_config={**size, "image_size": 16, "patch_size": 8, "projection_dim": 8},
        projection_dim=8,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.CLIPModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def clip(built: Path, tmp_path: Path) -> Path:
    for path in built.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.slow
def test_features_are_those_of_the_whole_model_at_length_one(clip: Path) -> None:
    from transformers import CLIPModel, CLIPTokenizer

    captions = ["a dog", "cat", "dog dog"]
    found = ClipText(str(clip)).load().text_features(captions)
    model, tokenizer = CLIPModel.from_pretrained(clip).eval(), CLIPTokenizer.from_pretrained(clip)
    for row, caption in zip(found, captions, strict=True):
        with torch.no_grad():
            tokens = tokenizer([caption], return_tensors="pt")
            vector = model.text_projection(model.text_model(**tokens).pooler_output)[0]
        assert np.allclose(row, (vector / vector.norm()).numpy(), atol=1e-5)
    assert found.shape == (3, 8)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


@pytest.mark.slow
def test_a_caption_has_the_same_features_in_any_company(clip: Path) -> None:
    encoder = ClipText(str(clip)).load()
    alone = encoder.text_features(["a dog"])[0]
    many = encoder.text_features([f"cat {'xyz'[n % 3]}{'abcdefgh'[n // 3 % 8]}" for n in range(40)] + ["a dog"] * 2)
    assert np.array_equal(many[-1], alone)
    assert np.array_equal(many[-2], alone)
    assert not np.allclose(many[0], alone, atol=1e-3)


def test_text_and_image_sides_carry_the_same_name_and_width(clip: Path) -> None:
    image, text = Pretrained("clip", str(clip)).load(), ClipText(str(clip)).load()
    digest = hashlib.sha256((clip / "model.safetensors").read_bytes()).hexdigest()[:12]
    assert image.name == text.name == f"clip-{digest}"
    assert image.embed(torch.zeros(1, 3, 16, 16)).shape[1] == text.text_features(["a"]).shape[1]


def test_captions_beyond_the_longest_are_cut_at_the_end_and_told(clip: Path) -> None:
    encoder = ClipText(str(clip)).load()
    long = "a b c d e f g h i j k l m"
    assert encoder.cut(["a dog", long]) == (1,)
    features = encoder.text_features([long, long + " n", "b " + long])
    assert np.array_equal(features[0], features[1])
    assert not np.allclose(features[0], features[2], atol=1e-4)


@pytest.mark.parametrize("missing", ["model.safetensors", "vocab.json", "config.json"])
def test_a_missing_file_is_named_at_once(missing: str, clip: Path) -> None:
    (clip / missing).unlink()
    began = time.monotonic()
    with pytest.raises(MissingModelError) as caught:
        ClipText(str(clip)).load()
    assert time.monotonic() - began < 1
    assert {"vocab.json": "tokenizer.json"}.get(missing, missing) in caught.value.message
    assert "twinset downloads nothing" in caught.value.hint


def test_a_missing_package_is_named(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tokenizers" else found(name))
    with pytest.raises(MissingExtraError, match="tokenizers"):
        ClipText(str(clip)).check()


@pytest.mark.parametrize("damage", ["hole", "nan", "truncated"])
def test_damaged_weights_are_one_clear_error(damage: str, clip: Path) -> None:
    path = clip / "model.safetensors"
    weights = load_file(path)
    key = next(name for name in weights if name.startswith("text_model") and "layers.0" in name)
    if damage == "hole":
        del weights[key]
    elif damage == "nan":
        weights[key] = torch.full_like(weights[key], float("nan"))
    save_file(weights, path, {"format": "pt"})
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(MissingModelError, match="expected the text side of CLIP; got"):
        ClipText(str(clip)).load()


def test_no_captions_are_refused(clip: Path) -> None:
    with pytest.raises(ValueError, match="at least one caption"):
        ClipText(str(clip)).load().text_features([])
