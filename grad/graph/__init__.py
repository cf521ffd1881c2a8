"""Graph values: what there is to compute, and nothing about how.

Read primitives.py (the table of operations), node.py (one value), movement.py (reshape, slice and
their like), index.py (index expressions, which the compiler thinks in), sizes.py (numbers in them
that are not fixed yet; assumptions.py has what is assumed of those), storage.py (the mutable cell
below tensors). reference.py, arrays.py and evaluate.py say what a graph means, with NumPy.
"""
