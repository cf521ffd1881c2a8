"""Small things that any layer may use: bit formats, constants, number formatting."""
