"""What is leased: a message to a consumer, settled message by message."""
