"""Matching of one source of a run: the same for a run that only matches and for the loop that closes a gap."""

from __future__ import annotations

from twinset.alignment.metadata import Target
from twinset.pipeline.fitting import Source
from twinset.pipeline.matching import commit_match
from twinset.pipeline.opening import Run
from twinset.recipe import MatchPart


def match_source(run: Run, source: Source, generator: object, part: MatchPart, target: Target) -> None:
    """Searches for one source, unless an earlier sitting ended that; errors as :func:`commit_match`."""
    commit_match(
        generator,
        source.folder,
        part,
        target,
        classes=run.real.dataset.classes,
        name=source.use,
        rng=run.stream.child("match", source.number),
        listener=run.listener,
    )
