"""Figures, ranked lists and pages, as pure functions of records."""
