"""Tables and sentences about a linear fit."""
