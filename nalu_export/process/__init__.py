"""What all threads of the process share: locks, filters of warnings, memory."""
