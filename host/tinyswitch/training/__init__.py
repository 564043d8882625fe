"""Training of families on images that can be had freely: ``train.train`` does it all (docs/training.md)."""
