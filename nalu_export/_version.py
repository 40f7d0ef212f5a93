"""The version of this package. The build reads this file too."""

__version__ = "0.1.0"
