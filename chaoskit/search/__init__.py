"""Find a failing scenario, and the smallest one that fails in the same way."""
