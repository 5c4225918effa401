"""The judge of traces of what is read by position."""
