"""Is what the user gave usable? Errors that say what, where and what to do."""
