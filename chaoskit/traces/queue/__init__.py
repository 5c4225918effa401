"""The judge of traces of what is leased."""
