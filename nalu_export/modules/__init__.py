"""Helpers for any torch module: copies and TorchScript."""
