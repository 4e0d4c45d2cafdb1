"""Can the synthetic set be let out? One attack or gate a file."""
