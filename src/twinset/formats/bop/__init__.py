"""BOP, the layout of the benchmark for 6D object pose: scenes with cameras, poses, depth and masks.

What we write is read by bop_toolkit; what BOP has no field for stands under keys of ours in the same files.
"""

from __future__ import annotations

from twinset.formats.bop.reading import claims, listing
from twinset.formats.bop.writing import losses, write

__all__ = ["claims", "listing", "losses", "write"]
