"""The thesis as data and as commands: every table and figure, what it reports, and what makes our value for it."""
