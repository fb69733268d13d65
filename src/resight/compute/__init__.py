"""Where things run: devices, precision, processes."""
