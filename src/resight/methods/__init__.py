"""One file for each training method."""
