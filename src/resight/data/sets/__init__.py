"""One parser for each published set."""
