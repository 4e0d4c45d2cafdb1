"""The embedded renderer: no GPU, no display, no system package."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinset.generators.rendering.extra import check_extra
from twinset.generators.rendering.scene import Frame, Scene

if TYPE_CHECKING:
    from twinset.generators.rendering.raster.workspace import Workspace


class Rasterizer:
    """A z-buffer renderer in machine code, one thread a picture.

    ``samples`` per pixel and axis, 1 or 2, smooth the colours: with 2, edges are a tent over nine samples half a pixel
    apart. Labels are taken at pixel centres either way, and are the same. May be used by several threads; buffers are
    kept for as many pictures as were drawn at once.

    Raises :class:`~twinset.errors.MissingExtraError` without the extra ``render``. The very first picture on a machine
    takes about half a minute longer, while numba compiles.
    """

    def __init__(self, *, samples: int = 2) -> None:
        if samples not in (1, 2):
            raise ValueError(f"expected 1 or 2 samples per pixel and axis; got {samples}")
        check_extra()
        from twinset.generators.rendering.raster.surfaces import Kept

        self.samples = samples
        self._kept = Kept()
        self._idle: SimpleQueue[Workspace] = SimpleQueue()

    def render(self, scene: Scene) -> Frame:
        """The picture with its per-pixel truth."""
        with self._workspace() as workspace:
            return workspace.render(scene)

    def silhouettes(self, scene: Scene) -> tuple[NDArray[np.bool_], ...]:
        """For each object the mask bool (H, W) that it would have alone; all False for furniture and catchers."""
        with self._workspace() as workspace:
            return workspace.silhouettes(scene)

    def render_many(self, scenes: Iterable[Scene], *, threads: int = 1) -> Iterator[Frame]:
        """The pictures of all scenes, in order, so many at a time; scenes are asked for as they are needed."""
        if threads < 1:
            raise ValueError(f"expected at least one thread; got {threads}")
        if threads == 1:
            yield from map(self.render, scenes)
            return
        waiting: deque[Future[Frame]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            for scene in scenes:
                waiting.append(pool.submit(self.render, scene))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    @contextmanager
    def _workspace(self) -> Iterator[Workspace]:
        from twinset.generators.rendering.raster.workspace import Workspace

        try:
            workspace = self._idle.get_nowait()
        except Empty:
            workspace = Workspace(self.samples, self._kept)
        yield workspace
        # After an error its buffers may hold half a picture: it is not taken up again.
        self._idle.put(workspace)
