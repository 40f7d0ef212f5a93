"""Reads files safely and writes them in one step; texts, JSON, arrays and zip archives from untrusted files."""
