"""Where tasks run. Correctness lives in the store, so an executor may lose or repeat work."""
