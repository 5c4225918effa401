"""What is read by position: cursors, and settling by commit."""
