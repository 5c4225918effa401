"""Real runs of pytest and of the command line over small projects."""
