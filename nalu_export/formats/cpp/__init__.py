"""The C++ header format."""

from nalu_export.formats.cpp.format import FORMAT

__all__ = ["FORMAT"]
