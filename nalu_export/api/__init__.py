"""What the Python API and the commands do: one file for each of them."""
