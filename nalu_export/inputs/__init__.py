"""The inputs of a model: from its layers or from the user's description, in several sizes and ranges of integers."""
