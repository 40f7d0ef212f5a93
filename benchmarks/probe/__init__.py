"""What a machine with a GPU is asked once, in ten minutes: ``make cuda-probe``."""
