"""Turns the calls that a user wrote into primitives: every spelling of an operation becomes the same node."""

from nalu_export.graph.spelling.canonical import canonicalise

__all__ = ["canonicalise"]
