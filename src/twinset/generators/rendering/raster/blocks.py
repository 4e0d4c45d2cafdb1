"""Where the numbers of the samples that are shaded together stand in memory."""

from __future__ import annotations

BLOCK = 1024
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
NUMBERS = 42 * ROW

AT_ROW, AT_COLUMN, TAPS, LEVEL, FROM_U, FROM_V, BY_U, BY_V = range(8)
WHOLES = 8
"""Rows of whole numbers: where a sample lies, and how a texture is looked up for it."""

LIGHT_NUMBERS = 20
"""Of a light: direction 0–2, radiance 3–5, shadows 6, blur 7, widest blur 8, texel 9, axes of the
map's columns 10–13 and rows 14–17."""
