"""The bodies of people in crops, and structure maps of them from eight sides."""
