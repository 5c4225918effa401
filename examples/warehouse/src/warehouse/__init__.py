"""What is in the warehouse, and how far each order is."""
