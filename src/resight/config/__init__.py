"""Settings: recipes, flags, their checks and their help."""
