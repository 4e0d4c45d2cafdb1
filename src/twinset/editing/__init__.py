"""Ways to vary a real image; one method a file."""
