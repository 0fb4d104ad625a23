"""How the mean depends on the parameters."""
