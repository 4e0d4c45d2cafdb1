"""What nearest neighbours say: precision, recall, density, coverage, authenticity, nearest records and close pairs."""
