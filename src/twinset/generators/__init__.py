"""Ways to make labelled images; one method a file."""
