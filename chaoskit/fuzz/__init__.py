"""`chaoskit fuzz`: the chaos tests of a repository, searched in slices of time by many workers until it is over."""
