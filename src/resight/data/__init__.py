"""Data sets, images, batches."""
