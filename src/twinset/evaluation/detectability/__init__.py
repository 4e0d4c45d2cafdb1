"""Whether a classifier tells synthetic images from real ones by features, pixels or spectra; such a detector kept."""
