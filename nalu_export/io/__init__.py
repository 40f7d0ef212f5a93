"""Files: read safely, written in one step; texts, JSON and arrays from anyone."""
