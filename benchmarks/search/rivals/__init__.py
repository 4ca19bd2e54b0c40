"""What else one could do with the same training: the rivals of our study on a case."""
