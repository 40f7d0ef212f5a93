"""Every speed and every accuracy that this project claims, each measured against its peer in the same run."""
