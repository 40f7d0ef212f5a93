"""What becomes of a folder when exports into it are killed, run out of disk, are refused, or race."""
