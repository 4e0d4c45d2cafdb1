"""Copy–paste: objects cut out of real pictures (or given as cut-outs), laid on backgrounds, with exact labels.

``settings`` says what can be chosen; a fit (``fitting``) gathers ``foregrounds`` and ``backgrounds`` into ``stores``
and learns where objects stand (``placement``, ``context``); a ``layout`` is drawn per picture and brought by
``steering`` to what is wanted of it; ``compositing`` finds out what of it is visible and ``blending`` paints it.
Semantic maps are recomposed by ``regions``.
"""

from twinset.generators.copypaste.generator import CopyPasteGenerator
from twinset.generators.copypaste.marginals import BoxTarget, Configuration, Normal, PlacementTarget
from twinset.generators.copypaste.settings import CopyPaste

__all__ = ["BoxTarget", "Configuration", "CopyPaste", "CopyPasteGenerator", "Normal", "PlacementTarget"]
