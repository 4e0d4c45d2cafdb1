"""Path tracers: pictures with light that goes from surface to surface, labels from the embedded rasteriser."""
