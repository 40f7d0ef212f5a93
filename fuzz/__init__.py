"""Fuzzing of every reader, with atheris: ``make fuzz``."""
