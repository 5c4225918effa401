"""What flows: frozen values, and what they are told apart by. Nothing but attrs and the standard library."""
