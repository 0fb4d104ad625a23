"""How y scatters round its mean: one noise family a file."""
