"""The functions of the Python API, one file for each. The commands call the same functions."""
