"""Opening a mesh file and the files that it names, without ever leaving its folder, within one budget of bytes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from twinset.errors import DatasetFormatError, ImageError
from twinset.formats.folder import Absent, Folder, Unusable, relative_path, visible
from twinset.generators.rendering.mesh_files.settings import MeshSettings
from twinset.images import Pixels, convert_channels, decode, shape_of

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
"""A scheme of at least two letters: a drive letter is an absolute path instead."""


class Source:
    """The files of one mesh: ``read`` and ``texture`` take names as the mesh file writes them."""

    def __init__(self, path: Path, settings: MeshSettings, within: Path | None = None) -> None:
        self.path = path
        self.settings = settings
        self.files: dict[str, str] = {}
        self.missing: list[str] = []
        self._textures: dict[str, Pixels | None] = {}
        self._bytes = 0
        self._texels = 0
        if within is None:
            self._folder, self._own = Folder.around(path), PurePosixPath(path.name)
        else:
            self._folder = Folder.at(within)
            try:
                self._own = PurePosixPath(path.absolute().relative_to(within.absolute()).as_posix())
            except ValueError:
                raise ValueError(f"expected a mesh inside {within}; got {path}") from None

    def fault(self, message: str, *, line: int | None = None, hint: str = "") -> DatasetFormatError:
        """The error that says this of the mesh file."""
        return DatasetFormatError(visible(message), path=self.path, line=line, hint=hint)

    def mesh(self) -> bytes:
        """The bytes of the mesh file itself."""
        try:
            return self._read(self._own)
        except Unusable as error:
            raise self.fault(str(error)) from error

    def read(self, reference: str, *, line: int | None = None) -> bytes:
        """The bytes of a file that the mesh needs; :class:`DatasetFormatError` where it cannot be had."""
        try:
            return self._referred(reference)
        except Unusable as error:
            raise self.fault(
                f"{visible(reference[:200])}: {error}", line=line, hint="put it beside the mesh"
            ) from error

    def materials(self, reference: str, *, line: int | None = None) -> bytes | None:
        """The bytes of a library of materials; None where it is missing and textures may be."""
        try:
            return self._referred(reference)
        except Unusable as error:
            absent = isinstance(error, Absent) or isinstance(error.__cause__, FileNotFoundError)
            if not absent or self.settings.missing_textures == "refuse":
                hint = "put it beside the mesh, or set missing_textures: plain to draw without"
                raise self.fault(f"{visible(reference[:200])}: {error}", line=line, hint=hint) from error
        self.missing.append(visible(reference[:80]))
        return None

    def texture(self, reference: str, *, line: int | None = None) -> Pixels | None:
        """RGB of a texture by file name or data address; None where it is missing and that is allowed.

        A name that leads out of the folder is refused even then.
        """
        if reference not in self._textures:
            self._textures[reference] = self._decoded(reference, line)
        return self._textures[reference]

    def picture(self, data: bytes, name: str) -> Pixels | None:
        """RGB of a texture whose bytes lie within the mesh file."""
        if name not in self._textures:
            self._textures[name] = self._pixels(data, name, None)
        return self._textures[name]

    def _decoded(self, reference: str, line: int | None) -> Pixels | None:
        name = visible(reference if len(reference) <= 80 else reference[:77] + "…")
        try:
            data = self._referred(reference)
        except Absent as error:
            return self._without(name, str(error), line)
        except Unusable as error:
            if isinstance(error.__cause__, FileNotFoundError):  # a folder on the way is absent
                return self._without(name, str(error), line)
            raise self.fault(f"texture {name}: {error}", line=line) from error
        return self._pixels(data, name, line)

    def _pixels(self, data: bytes, name: str, line: int | None) -> Pixels | None:
        try:
            height, width, _ = shape_of(data, name=name)
            self._texels += height * width
            if self._texels > self.settings.most_texels:
                raise self.fault(f"expected at most {self.settings.most_texels} texels; got {self._texels}", line=line)
            return convert_channels(decode(data, name=name), 3)
        except ImageError as error:
            return self._without(name, error.message.removeprefix(f"{name}: "), line)

    def _without(self, name: str, problem: str, line: int | None) -> Pixels | None:
        if self.settings.missing_textures == "refuse":
            raise self.fault(
                f"texture {name}: {problem}", line=line, hint="add it, or set missing_textures: plain to draw without"
            )
        self.missing.append(name)
        return None

    def _referred(self, reference: str) -> bytes:
        if reference.startswith("data:"):
            return self._inline(reference)
        if ADDRESS.match(reference):
            raise Unusable("expected a file in the mesh's folder; got an address, and nothing is downloaded")
        return self._read(self._beside(reference))

    def _beside(self, reference: str) -> PurePosixPath:
        """A name as seen from the mesh file, as one seen from the folder; it may climb, but not out."""
        parts = list(self._own.parent.parts)
        steps = reference.replace("\\", "/").split("/")
        while steps and steps[0] in (".", ".."):
            if steps.pop(0) == "..":
                if not parts:
                    raise Unusable("expected a file in the mesh's folder; got one outside of it")
                parts.pop()
        return PurePosixPath(*parts) / relative_path("/".join(steps))

    def _inline(self, reference: str) -> bytes:
        head, comma, content = reference.partition(",")
        if not comma or not head.endswith(";base64"):
            raise Unusable("expected data in base64; got another kind")
        try:
            data = base64.b64decode(unquote(content), validate=True)
        except (binascii.Error, ValueError) as error:
            raise Unusable("expected data in base64; got other characters") from error
        self._spend(len(data))
        return data

    def _read(self, path: PurePosixPath) -> bytes:
        data = self._folder.read(path, limit=self.settings.most_bytes - self._bytes)
        self._spend(len(data))
        self.files[str(path)] = hashlib.sha256(data).hexdigest()
        return data

    def _spend(self, count: int) -> None:
        self._bytes += count
        if self._bytes > self.settings.most_bytes:
            raise Unusable(f"expected at most {self.settings.most_bytes} bytes in all; got {self._bytes}")
