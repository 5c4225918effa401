"""The values, their files and their comparison; and the order of the imports."""
