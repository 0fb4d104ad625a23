"""Tables and sentences about a network."""
