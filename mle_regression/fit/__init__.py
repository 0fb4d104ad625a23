"""How data become a fit: a problem is posed, solved and concluded."""
