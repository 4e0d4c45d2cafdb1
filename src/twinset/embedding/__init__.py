"""Images to feature vectors: fixed, self-trained and pretrained; one embedder a file."""
