"""From the calls that a user wrote to primitives: every spelling of an operation becomes the same node."""

from nalu_export.graph.spelling.canonical import canonicalise

__all__ = ["canonicalise"]
