"""What a choice of order costs: how many messages can run at once, and how many consumers help."""
