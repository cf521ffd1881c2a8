"""Attention: scores, softmax and the weighted sum in one kernel that never stores the scores.

plan.py decides (structure.py is what it hands over), emit.py writes the forward kernel, gradient.py
the backward one, both of the functions in heads.py, rows.py and tiles.py.
"""
