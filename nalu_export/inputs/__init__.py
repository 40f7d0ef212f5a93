"""What a model takes: as its layers tell, as the user says, in which sizes and which integers."""
