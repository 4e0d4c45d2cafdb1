"""A class-conditional generative adversarial network for small images: two networks, their training, what is kept."""
