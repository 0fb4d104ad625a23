"""How it is told: tables with names, at the edge of the package."""
