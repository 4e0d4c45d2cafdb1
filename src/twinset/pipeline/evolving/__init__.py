"""Evolution in a run: the configurations of a generator that exposed images vote for, committed round by round."""

from twinset.pipeline.evolving.committing import (
    commit_evolution,
    evolution_sentences,
    evolved,
    evolved_path,
)
from twinset.pipeline.evolving.spaces import check_evolution, touched_by

__all__ = ["check_evolution", "commit_evolution", "evolution_sentences", "evolved", "evolved_path", "touched_by"]
