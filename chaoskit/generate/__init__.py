"""Files for the user's repository, written from what is there: nothing of it is imported or run."""
