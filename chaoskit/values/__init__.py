"""The frozen values that all other rooms share, and how they compare. Nothing but attrs and the standard library."""
