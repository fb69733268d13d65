"""Figures, ranked strips and pages, as pure functions of records."""
