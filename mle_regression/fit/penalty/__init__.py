"""How strong is the penalty? By evidence."""
