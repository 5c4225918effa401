"""Failures as files: written, read, played again, and shared between machines."""
