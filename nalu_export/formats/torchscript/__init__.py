"""The TorchScript format: ``format.py`` defines it, ``options.py`` its options, without importing torch."""
