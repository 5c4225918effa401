"""The project's own tests run pytest in temporary directories."""

pytest_plugins = ["pytester"]
