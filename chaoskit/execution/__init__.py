"""A schedule against the user's test: `deliver`, and who looks on while it runs."""
