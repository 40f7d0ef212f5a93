"""State that all threads of the process share: locks, warning filters, memory limits, standard output."""
