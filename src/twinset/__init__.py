"""twinset: the synthetic twin of a small real image dataset."""

__version__ = "0.1.0"
