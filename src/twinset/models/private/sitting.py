"""A private training in a folder that it can come back to, and what it refuses there.

``privacy.json`` is written before the first step: data, settings and account. A second start with anything else is
refused, as the same noise on other images would take the noise off both. The key goes with the last step.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.errors import RunFolderError
from twinset.images import PixelBatch
from twinset.models.checkpoint import load_tensors, save_tensors
from twinset.models.private.accounting import Account, Privacy, account_of
from twinset.secret_randomness import destroy_key, fresh_key, kept_key
from twinset.stages import Progress
from twinset.store import read_json, write_json

SECONDS_BETWEEN_CHECKPOINTS = 10.0
LOG, KEY, CHECKPOINT = "privacy.json", "privacy.key", "training.safetensors"
ANEW = "take a new folder to train anew, which spends ε anew"


def digest_of(images: PixelBatch, class_ids: NDArray[np.int64]) -> str:
    """sha256 of the training images and their classes."""
    total = hashlib.sha256(json.dumps(list(images.shape)).encode())
    for start in range(0, len(images), 1024):
        total.update(np.ascontiguousarray(images[start : start + 1024]).tobytes())
    total.update(np.ascontiguousarray(class_ids, dtype=np.int64).tobytes())
    return total.hexdigest()


class Kept(Protocol):
    """A private training whose state can be kept: our private trainers are such."""

    @property
    def step(self) -> int:
        """Steps done."""
        ...

    def tensors(self) -> dict[str, torch.Tensor]:
        """All tensors of the state."""
        ...

    def restore(self, tensors: dict[str, torch.Tensor], step: int) -> None:
        """Continues from the state that :meth:`tensors` gave after ``step`` steps."""
        ...


class Sitting:
    """What one private training keeps in ``folder`` (None: nothing, and it cannot be resumed).

    It goes on with the same uint8 images (N, H, W, C), int64 classes (N,), settings of the ``model`` and privacy only.
    """

    def __init__(
        self,
        folder: Path | None,
        images: PixelBatch,
        class_ids: NDArray[np.int64],
        *,
        model: Mapping[str, object],
        privacy: Privacy,
        n_classes: int,
    ) -> None:
        self.folder, self.privacy, self.images = folder, privacy, len(images)
        self.digest = digest_of(images, class_ids)
        settings = {"model": model, "privacy": asdict(privacy), "classes": n_classes}
        self.settings = cast("dict[str, object]", json.loads(json.dumps(settings)))
        self.saved_at = time.monotonic()
        self._log: dict[str, object] | None = None
        if folder is not None and (folder / LOG).exists():
            self._log = cast("dict[str, object]", read_json(folder / LOG, hint=ANEW))
            self._check()

    def _check(self) -> None:
        assert self._log is not None
        assert self.folder is not None
        for part, now in (("data", self.digest), ("settings", self.settings)):
            if self._log.get(part) != now:
                raise RunFolderError(
                    f"{self.folder}: expected the {part} that this private training began with; got other {part}",
                    hint=ANEW,
                )
        if self.finished:
            destroy_key(self.folder / KEY)
        elif not (self.folder / KEY).exists():
            raise RunFolderError(
                f"{self.folder}: expected the key of the private training that began here; got none", hint=ANEW
            )

    @property
    def finished(self) -> bool:
        """Whether the training here came to its end."""
        return self._log is not None and bool(self._log.get("finished"))

    def account(self, fresh: Callable[[], Account]) -> Account:
        """The account that the training began with; where none did, ``fresh()``, written down before the first step."""
        if self._log is None:
            made = fresh()
            self._keep(made, finished=False)
            return made
        return Account.from_values(cast("dict[str, float | int | None]", self._log["account"]))

    def account_of_steps(self, *, batch: int, steps: int) -> Account:
        """:meth:`account` of DP-SGD: ``steps`` steps with ``batch`` images expected in each."""
        return self.account(lambda: account_of(self.privacy, images=self.images, batch=batch, steps=steps))

    def key(self) -> bytes:
        """The secret of this training."""
        return fresh_key() if self.folder is None else kept_key(self.folder / KEY)

    def _keep(self, account: Account, *, finished: bool) -> None:
        if self.folder is None:
            return
        self.key()
        self._log = {
            "data": self.digest,
            "settings": self.settings,
            "account": account.to_values(),
            "finished": finished,
        }
        write_json(self.folder / LOG, self._log)

    def run(self, trainer: Kept, advance: Callable[[], None], *, steps: int, progress: Progress) -> None:
        """Trains to the end, on from the checkpoint if there is one; ``advance`` makes one step of the trainer."""
        self._restore(trainer)
        while trainer.step < steps:
            advance()
            self._save(trainer)
            progress(trainer.step, steps, "private steps")

    def _restore(self, trainer: Kept) -> None:
        if self.folder is None or not (self.folder / CHECKPOINT).exists():
            return
        tensors, record = load_tensors(self.folder / CHECKPOINT)
        if record.get("data") != self.digest:
            raise RunFolderError(
                f"{self.folder / CHECKPOINT}: expected a checkpoint of this training; got another's", hint=ANEW
            )
        trainer.restore(tensors, int(str(record["step"])))

    def _save(self, trainer: Kept) -> None:
        """Writes a checkpoint if it is time."""
        if self.folder is None or time.monotonic() - self.saved_at <= SECONDS_BETWEEN_CHECKPOINTS:
            return
        save_tensors(self.folder / CHECKPOINT, trainer.tensors(), {"data": self.digest, "step": trainer.step})
        self.saved_at = time.monotonic()

    def close(self, account: Account) -> None:
        """After the result was saved: nobody can take the noise off again."""
        if self.folder is None:
            return
        self._keep(account, finished=True)
        destroy_key(self.folder / KEY)
        (self.folder / CHECKPOINT).unlink(missing_ok=True)
