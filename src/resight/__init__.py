"""Person re-identification without labels."""

__version__ = "0.1.0.dev0"
