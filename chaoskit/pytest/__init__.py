"""`@chaos` under pytest: the plugin, its options and its reports."""
