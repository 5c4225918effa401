"""How much order a handler needs."""
