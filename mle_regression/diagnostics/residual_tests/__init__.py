"""Do the assumptions hold? One test of them a file."""
