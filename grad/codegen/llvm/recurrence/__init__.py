"""Recurrent cells over time: one kernel runs all steps, and one their gradient.

plan.py decides (structure.py is what it hands over), emit.py writes the loops over time, cells.py
what a step does to a row besides the product, which is attention/tiles.py's.
"""
