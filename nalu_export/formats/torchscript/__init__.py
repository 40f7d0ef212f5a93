"""TorchScript: ``format.py`` is the format, ``options.py`` what is known of it without torch."""
