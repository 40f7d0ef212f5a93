"""A C++ header."""

from nalu_export.formats.cpp.format import FORMAT

__all__ = ["FORMAT"]
