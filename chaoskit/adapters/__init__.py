"""Client libraries and frameworks: their own consumers and message objects around our messages, one module each."""
