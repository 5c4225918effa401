"""What a broker can do, as a function of a stream and its faults."""
