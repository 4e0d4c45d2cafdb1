"""What an evolution leaves in its source's folder: a file for every round, and the key of the noise till the end."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np

from twinset import secret_randomness
from twinset.alignment.evolution import Round
from twinset.stages import Configuration
from twinset.store import read_json, write_json


def round_path(folder: Path, number: int) -> Path:
    """Where a round of a source lies."""
    return folder / "evolution" / f"round-{number:03d}.json"


def key_path(folder: Path) -> Path:
    """Where the key of a source's noise lies, until it is destroyed."""
    return folder / "evolution" / "key"


def kept_key(folder: Path) -> bytes:
    """The key of this source's noise: of an earlier sitting, or fresh."""
    return secret_randomness.kept_key(key_path(folder))


def commit_round(folder: Path, number: int, found: Round[Configuration], excess: float | None) -> None:
    """Writes a round: its candidates and their votes, as they may be told."""
    values = {
        "configurations": [dict(one) for one in found.candidates],
        "class_ids": list(found.class_ids),
        "votes": found.votes.tolist(),
        "excess_frechet": excess,
    }
    write_json(round_path(folder, number), values)


def destroy_key(folder: Path) -> None:
    """Nobody can take the noise off again."""
    secret_randomness.destroy_key(key_path(folder))


def history_of(folder: Path) -> tuple[list[Round[Configuration]], dict[str, float | None]]:
    """Rounds that lie in the folder, and their excess distances."""
    rounds: list[Round[Configuration]] = []
    excesses: dict[str, float | None] = {}
    while (path := round_path(folder, len(rounds))).exists():
        stored = cast("dict[str, object]", read_json(path))
        rounds.append(
            Round(
                tuple(cast("list[Configuration]", stored["configurations"])),
                tuple(cast("list[int]", stored["class_ids"])),
                np.array(stored["votes"], dtype=np.float64),
            )
        )
        excesses[f"round {len(rounds)}"] = cast("float | None", stored["excess_frechet"])
    return rounds, excesses
