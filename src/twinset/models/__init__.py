"""Trained things without dataset policy; any stage may import them."""
