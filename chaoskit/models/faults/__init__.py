"""What each kind of fault does: to a log, and to a queue."""
