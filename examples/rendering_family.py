"""A family of one's own, a mug: register it and use ``family: mug`` in a recipe.

In your package's ``pyproject.toml``:  [project.entry-points."twinset.shapes"]  mug = "my_package:Mug"
"""

from types import MappingProxyType

import numpy as np

from twinset.generators.rendering.materials import named, names
from twinset.generators.rendering.shapes.assembly import assembled
from twinset.generators.rendering.shapes.family import Choice, Number, built, draw, shape_id
from twinset.generators.rendering.shapes.parts import curve, lathe, tube


class Mug:
    """Cups with or without a handle."""

    name = "mug"
    parameters = MappingProxyType(
        {
            "handle": Choice(("round", "none")),
            "height": Number(0.08, 0.12),
            "radius": Number(0.035, 0.05),
            "flare": Number(0.85, 1.2),
            "glaze": Choice(names("lacquer"), "look"),
        }
    )

    def build(self, values):
        """Lengths in metres; ``flare`` is the rim's radius over the foot's."""
        height, bottom = values["height"], values["radius"]
        top, wall = bottom * values["flare"], 0.004
        outside, inside = [(bottom, 0), (top, height)], [(top - wall, height), (bottom - wall, wall), (0, wall)]
        parts = [lathe([(0, 0), *outside, *inside], points=40)]
        if values["handle"] == "round":
            points = [
                (0, y + bottom, z * height) for y, z in ((-0.004, 0.25), (0.028, 0.3), (0.03, 0.75), (-0.001, 0.8))
            ]
            parts.append(tube(curve(points), 0.005))
        glaze = named(values["glaze"], rng=0)
        return assembled([part.painted(glaze) for part in parts], keypoints={"rim": np.array([top, 0, height])})


if __name__ == "__main__":
    values = draw(Mug(), rng=7)
    print(shape_id(Mug(), values), built(Mug(), values))
