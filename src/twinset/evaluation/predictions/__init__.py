"""Scores of a model's predictions on labelled images, per class and subgroup with simultaneous intervals."""
