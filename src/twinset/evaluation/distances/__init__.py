"""How far two sets of features lie apart: one distance a file."""
