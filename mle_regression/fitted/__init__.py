"""What a fit knows, with its rows or without."""
