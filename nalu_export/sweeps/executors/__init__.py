"""What has the checkpoints of a sweep done: one file for each way. ``base`` is their interface."""
