"""What to do about a failure: the moves of the field, each put around the user's own handler and searched again."""
