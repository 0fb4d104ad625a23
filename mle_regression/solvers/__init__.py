"""How the optimum is reached: one algorithm a file."""
