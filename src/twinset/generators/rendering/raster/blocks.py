"""Where the numbers of the samples that are shaded together stand in memory."""

from __future__ import annotations

BLOCK = 512
"""Samples shaded at once."""

ROW = BLOCK + 16
"""Every quantity is one row of so many numbers in a flat buffer: at constant distances LLVM vectorises the loops, and
off powers of two the rows do not fight for the same lines of the cache."""

X, Y, NEARNESS, NX, NY, NZ, GX, GY, GZ = (row * ROW for row in range(9))
RED, GREEN, BLUE, ROUGHNESS, METALLIC = (row * ROW for row in range(9, 14))
PX, PY, PZ, VX, VY, VZ, TOWARDS_VIEW, LIT = (row * ROW for row in range(14, 22))
OUT_RED, OUT_GREEN, OUT_BLUE, FULL_RED, FULL_GREEN, FULL_BLUE = (row * ROW for row in range(22, 28))
MAP_X, MAP_Y, HEIGHT, SLOPE_X, SLOPE_Y, BIAS = (row * ROW for row in range(28, 34))
U, V, ACROSS_U, ACROSS_V, DOWN_U, DOWN_V, SHARE, PART = (row * ROW for row in range(34, 42))
CORNER_NORMALS, CORNER_UV, STEP = 42 * ROW, 51 * ROW, 57 * ROW
"""Of three corners three numbers each, of three corners two each, of three colours one each."""

NUMBERS = 60 * ROW

CORNERS = 9 * ROW
"""Beside them float64: the homogeneous lattice coordinates of three corners, three numbers each."""

AT, COLUMN, LINE, PIXEL, TRIANGLE, OPEN = (row * ROW for row in range(6))
PLACES = 6 * ROW
"""Likewise whole numbers: which sample of the lattice it is, of which column and row, which pixel's centre (−1: none),
which of its object's triangles it shows; and which samples of the block wait for a closer look at their shadow."""

TAPS, LEVEL, FROM_U, FROM_V, BY_U, BY_V = range(6)
WHOLES = 6
"""Rows of whole numbers: how a texture is looked up."""

LIGHT_NUMBERS = 20
"""Of a light: direction 0–2, radiance 3–5, shadows 6, blur 7, widest blur 8, texel 9, axes of the
map's columns 10–13 and rows 14–17, binary logarithm of a cell's side 18."""
