"""Features of captions by the text side of a CLIP on this machine, in the space of its image side.

The image side of the same folder is ``Pretrained("clip", path)``. Both come projected to one width D (Radford et al.
2021), so that cosines of rows compare pictures with captions. Nothing is ever downloaded.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from twinset.embedding.embedder import Vectors
from twinset.embedding.foreign_embedder import DIGITS, plain_arithmetic, sha256_of
from twinset.embedding.weights import check_words, weights_of, where_to_put
from twinset.errors import MissingModelError
from twinset.models.foreign import quiet_transformers

BATCH = 32


@dataclass(frozen=True)
class ClipText:
    """``path`` of a folder with config.json, model.safetensors and tokenizer.json (or vocab.json and merges.txt).

    Without a path it is looked for as ``Pretrained("clip")`` is.
    """

    path: str | None = None

    @property
    def folder(self) -> Path:
        """Where the files are, or should be."""
        return weights_of("clip", self.path).parent

    def check(self) -> None:
        """Raises :class:`MissingModelError` or :class:`MissingExtraError`, in no time, if it cannot be loaded."""
        check_words(self.path)

    def load(self) -> ClipTextEncoder:
        """The encoder; its name holds the first twelve digits of the weights' sha256, as the image side's does."""
        from safetensors import SafetensorError

        self.check()
        weights = weights_of("clip", self.path)
        try:
            network, longest, known = _network(self.folder)
            tokenize = _tokenizer(self.folder, known)
        except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
            found = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise MissingModelError(
                f"{weights}: expected the text side of CLIP; got {found}", hint=where_to_put("clip")
            ) from error
        digest = sha256_of(weights)
        return ClipTextEncoder(network.eval().requires_grad_(False), tokenize, longest, f"clip-{digest[:DIGITS]}")


Tokenize = Callable[[Sequence[str]], list[list[int]]]
"""Captions to token numbers with begin and end, of their own lengths."""


@dataclass(frozen=True, eq=False)
class ClipTextEncoder:
    """A text network with its tokens; captions of more than ``longest`` tokens are cut, the end kept."""

    network: nn.Module
    tokenize: Tokenize = field(repr=False)
    longest: int
    name: str
    device: str = "cpu"

    def on(self, device: str) -> ClipTextEncoder:
        """The same encoder on ``cpu``, ``cuda`` or ``cuda:N``, in float32; this one stays where it is."""
        if device == self.device:
            return self
        return replace(self, network=copy.deepcopy(self.network).to(device), device=device)

    def text_features(self, captions: Sequence[str]) -> Vectors:
        """float32 (N, D) of length 1, one row per caption; equal captions give equal rows, whatever their company."""
        if not captions:
            raise ValueError("expected at least one caption; got none")
        distinct = sorted(set(captions))
        parts = [self._features(distinct[start : start + BATCH]) for start in range(0, len(distinct), BATCH)]
        features = np.concatenate(parts)
        if not np.isfinite(features).all():
            raise ValueError(f"expected finite features from {self.name}; got NaN or infinity; check its weights")
        place = {caption: row for row, caption in enumerate(distinct)}
        return np.asarray(features[[place[caption] for caption in captions]], dtype=np.float32)

    def cut(self, captions: Sequence[str]) -> tuple[int, ...]:
        """Which captions are longer than the network reads: their ends do not count."""
        lengths = [len(tokens) for tokens in self.tokenize(captions)] if captions else []
        return tuple(row for row, length in enumerate(lengths) if length > self.longest)

    def _features(self, captions: Sequence[str]) -> Vectors:
        # A network's rounding depends on the shape of its input: every batch is BATCH captions of the longest length.
        tokens = torch.zeros(BATCH, self.longest, dtype=torch.int64)
        seen = torch.zeros(BATCH, self.longest, dtype=torch.int64)
        for row, numbers in enumerate(self.tokenize(list(captions))):
            kept = numbers if len(numbers) <= self.longest else [*numbers[: self.longest - 1], numbers[-1]]
            tokens[row] = kept[-1]
            tokens[row, : len(kept)] = torch.tensor(kept)
            seen[row, : len(kept)] = 1
        seen[len(captions) :, 0] = 1
        with torch.no_grad(), plain_arithmetic(self.device):
            words, mask = tokens.to(self.device), seen.to(self.device)
            vectors: torch.Tensor = self.network(input_ids=words, attention_mask=mask).text_embeds
        return np.asarray(nn.functional.normalize(vectors[: len(captions)].float(), dim=1).cpu().numpy())


def _network(folder: Path) -> tuple[nn.Module, int, int]:
    """The text side, how many tokens it reads, and how many it knows."""
    from transformers import CLIPTextModelWithProjection

    with quiet_transformers():
        model, report = CLIPTextModelWithProjection.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    # transformers fills what is missing with random numbers and carries on.
    holes = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if holes:
        raise ValueError(f"a checkpoint without {len(holes)} of its tensors (first {holes[0]})")
    network: nn.Module = model
    for key, value in network.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"NaN or infinity in {key}")
    return network, int(model.config.max_position_embeddings), int(model.config.vocab_size)


def _tokenizer(folder: Path, known: int) -> Tokenize:
    from transformers import CLIPTokenizerFast

    with quiet_transformers():
        tokenizer = CLIPTokenizerFast.from_pretrained(folder, local_files_only=True)
    if len(tokenizer) > known:
        raise ValueError(f"{len(tokenizer)} words where the network knows {known}")

    def tokenize(captions: Sequence[str]) -> list[list[int]]:
        numbers: list[list[int]] = tokenizer(list(captions), truncation=False, verbose=False)["input_ids"]
        return numbers

    return tokenize
