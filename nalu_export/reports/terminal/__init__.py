"""What a person reads in a terminal: reports, diagnoses, what is in a file."""
