"""Training of the embedded model, from pictures of the worlds alone."""
