"""Words and pictures made from a finished verdict, and from nothing else."""
