"""Several synthetic sets of the same real images, ranked no finer than the images can tell.

Near copies, and images made from the very same parents, move together: they count as one where ranks are told apart.
Pasted pictures that share some of their parents do not: linked through these, a whole twin would be one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinset import __version__, documents
from twinset.dataset import Dataset
from twinset.embedding.embedder import EmbedderMethod
from twinset.embedding.self_trained import SelfTrained
from twinset.errors import DataError, RunFolderError, UnknownNameError, UsageError
from twinset.evaluation.influences import RANKED, influenced
from twinset.evaluation.ranking import Ranked, ranking
from twinset.families import families
from twinset.formats import read
from twinset.images import ImageSpec
from twinset.pipeline.comparing.looking import features_cache, look
from twinset.pipeline.comparing.metrics import on_device
from twinset.pipeline.comparing.pages import place_for
from twinset.pipeline.comparing.question import embedder_named
from twinset.pipeline.comparing.sources import names_of
from twinset.pipeline.folders import environment_of, result_of
from twinset.pipeline.image_sizes import choose_spec
from twinset.pipeline.real import load_real
from twinset.pipeline.recorded_ranks import is_record, ranked_records
from twinset.pipeline.reporting import Listener
from twinset.pipeline.resolving import Machine
from twinset.pipeline.standing import RankingQuestion
from twinset.pipeline.tools import source_of
from twinset.randomness import Stream
from twinset.recipe import ImagePart
from twinset.report.ranking import RankedSet, RankingPage, render_ranking
from twinset.stages import Embedder
from twinset.store import ShardStore, write_bytes
from twinset.threads import torch_threads

FEWEST = 6


@dataclass(frozen=True, eq=False)
class Contender:
    """A synthetic set; of a run also its real held-out images, their digest, and its result."""

    name: str
    dataset: Dataset
    real: Dataset | None = None
    real_digest: str = ""
    result: documents.RunDocument | None = None


def leaderboard(
    sources: Sequence[str], *, question: RankingQuestion, report: Path | None = None, listener: Listener
) -> documents.LeaderboardDocument:
    """As :func:`ranked_sets`, and ``report`` also writes a page; a place that cannot be written to is refused first."""
    place = place_for(report) if report is not None else None
    found = ranked_sets(sources, question=question, listener=listener)
    if place is None:
        return found
    page = RankingPage(
        title=f"{len(sources)} synthetic sets, ranked",
        summary=f"{found.n_synthetic} images of each set against {found.n_real} real ones, by {found.extractor}.",
        scores={
            name: [
                RankedSet(one.name, one.value, one.standard_error, one.best, one.worst) for one in found.scores[name]
            ]
            for name in sorted(found.scores, key=lambda each: each != found.by)
        },
        higher_is_better=RANKED,
        notes=tuple(found.warnings),
        command=question.command(sources),
        version=__version__,
    )
    write_bytes(place, render_ranking(page).encode())
    return found.model_copy(update={"report": str(report)})


def ranked_sets(
    sources: Sequence[str], *, question: RankingQuestion, listener: Listener
) -> documents.LeaderboardDocument:
    """Ranks datasets and run folders against real images, or, of runs alone, against their common held-out images.

    JSON files of comparisons and runs are ranked by what they say, where their protocols agree.
    """
    by = {"kid": "kernel_distance", "frechet": "frechet_distance"}.get(question.by, question.by)
    if by not in RANKED:
        raise UnknownNameError("score to rank by", by, RANKED)
    if _records_alone(sources, question.real):
        return ranked_records(sources, by=by)
    method = _shared_extractor(question.extractor)
    device = Machine.of(workers=None, device=question.device).device
    listener.stage("reading")
    contenders = [_contender(source, name) for source, name in zip(sources, names_of(sources), strict=True)]
    held = _real(contenders, question.real)
    size = _common_size(contenders, held)
    spec, _ = choose_spec(ImagePart(), held)
    with torch_threads(1):
        rng = Stream(question.seed).child("leaderboard", "embedder")
        embedder = on_device(method.fit(held, spec=spec, rng=rng), device)
        found = _ranked(held, contenders, embedder, spec=spec, size=size, seed=question.seed, listener=listener)
    return documents.LeaderboardDocument(
        by=by,
        n_real=len(held),
        n_synthetic=size,
        extractor=embedder.name,
        seed=question.seed,
        scores={name: [_part(one) for one in rows] for name, rows in found.items()},
        verdicts={each.name: each.result.verdict for each in contenders if each.result is not None},
        warnings=_warnings(contenders, size),
    )


def _records_alone(sources: Sequence[str], real: str | None) -> bool:
    """Whether all are JSON files of comparisons; :class:`UsageError` for some among sets, or beside ``real``."""
    written = [source for source in sources if is_record(source)]
    if written and (len(written) < len(sources) or real is not None):
        raise UsageError(
            f"expected sets and runs, or JSON files of comparisons alone; got {', '.join(written)} among others",
            hint="what is written down has its real images already: leave out --real, and rank sets by themselves",
        )
    return bool(written)


def _shared_extractor(name: str) -> EmbedderMethod:
    """An extractor that is the same for all sets."""
    method = embedder_named(name)
    if isinstance(method, SelfTrained):
        raise UsageError(
            "expected an extractor that is the same for all sets; got self", hint="--extractor random, or NAME:PATH"
        )
    return method


def _common_size(contenders: Sequence[Contender], held: Dataset) -> int:
    """The images of the smallest set; :class:`DataError` where these, or the real ones, are too few."""
    size = min(len(each.dataset) for each in contenders)
    if min(size, len(held)) < FEWEST:
        raise DataError(
            f"expected at least {FEWEST} images in every set; got {size} synthetic and {len(held)} real ones",
            hint="leave the smallest set out",
        )
    return size


def _part(one: Ranked) -> documents.RankedPart:
    return documents.RankedPart(
        name=one.name,
        value=one.value,
        standard_error=one.standard_error if np.isfinite(one.standard_error) else None,
        best=one.best,
        worst=one.worst,
    )


def _ranked(
    held: Dataset,
    contenders: Sequence[Contender],
    embedder: Embedder,
    *,
    spec: ImageSpec,
    size: int,
    seed: int,
    listener: Listener,
) -> dict[str, list[Ranked]]:
    """Ranks by every score of :data:`RANKED`; all sets count with ``size`` images."""
    progress, cache = listener.stage("looking at pictures"), features_cache(listener)
    with tempfile.TemporaryDirectory(prefix="twinset-leaderboard-") as scratch:

        def seen(dataset: Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
            found = look(
                dataset,
                [embedder],
                spec=spec,
                scratch=Path(scratch),
                cache=cache,
                progress=progress,
                name=name,
                pixels=False,
            )
            return found.features[embedder.name], families(dataset, fingerprints=found.fingerprints, parents="same")

        real, of_real = seen(held, "real")
        scores = []
        for each in contenders:
            draw = Stream(seed).child("leaderboard", each.dataset.source_digest()).numpy()
            rows = np.sort(draw.permutation(len(each.dataset))[:size])
            made, of_made = seen(each.dataset, each.name)
            kin = np.unique(of_made[rows], return_inverse=True)[1]
            found = influenced(real, np.asarray(made[rows]))
            scores.append({name: one.by_family(of_real, kin) for name, one in found.items()})
    names = [each.name for each in contenders]
    return {
        name: ranking(names, [one[name] for one in scores], higher_is_better=higher) for name, higher in RANKED.items()
    }


def _contender(source: str, name: str) -> Contender:
    folder = source_of(source)
    if isinstance(folder, Path) and (folder / "run.json").exists():
        if not (folder / "result.json").exists():
            raise RunFolderError(
                f"{folder}: expected a finished run; got one that is not", hint=f"twinset resume {folder}"
            )
        result = result_of(folder)
        with _written_by_this_version(folder):
            real = load_real(folder)
            accepted, holdout = ShardStore(folder).accepted(real.dataset.classes), real.holdout
        return Contender(name, accepted, holdout, holdout.source_digest(), result)
    dataset, _ = read(folder, on_bad_input="refuse")
    return Contender(name, dataset)


@contextmanager
def _written_by_this_version(folder: Path) -> Iterator[None]:
    """Files of a run that lack something, or hold something else, come out as a :class:`RunFolderError` about it."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        by = ""
        with suppress(RunFolderError):
            by = environment_of(folder).get("twinset", "")
        raise RunFolderError(
            f"{folder}: expected a run as twinset {__version__} writes it; got files of another build"
            f"{f' ({by})' if by else ''}: {' '.join(str(error).split())[:120]}",
            hint=f"rank what it exported as a dataset: twinset leaderboard {folder / 'export'}/… --real REAL",
        ) from error


def _real(contenders: Sequence[Contender], source: str | None) -> Dataset:
    """The real images of all comparisons; refused where runs were judged by different ones."""
    if source is not None:
        dataset, _ = read(source_of(source), on_bad_input="refuse")
        return dataset
    bare = [each.name for each in contenders if each.real is None]
    if bare:
        raise UsageError(
            f"expected --real for sets that are no runs; got none for {', '.join(bare[:4])}",
            hint="--real FOLDER of real images that no generator was trained on",
        )
    if len({each.real_digest for each in contenders}) > 1:
        raise DataError(
            "expected runs on the same real images, split the same way; got others: their numbers do not compare",
            hint="give one set of real images as --real, which none of the generators was trained on",
        )
    found = contenders[0].real
    assert found is not None
    return found


def _warnings(contenders: Sequence[Contender], size: int) -> list[str]:
    larger = [each.name for each in contenders if len(each.dataset) > size]
    told = [f"all sets are compared with {size} images, drawn at random from {', '.join(larger)}"] if larger else []
    if any(each.real is None for each in contenders):
        told.append("whether a set copies training images is not looked at here: use twinset compare --train")
    return told
