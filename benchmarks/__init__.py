"""What chaoskit claims about its speed, measured: `python -m benchmarks` from the root of the repository."""
