"""From groups to loops: kernel IR, which prints like Python.

Read ir.py (the language), lower.py (the order of loops), writer.py (what goes into them), cost.py
(which form is cheapest), join.py and keep.py (what the loops of a row share); lower_columns.py,
lower_contraction.py, lower_scan.py, lower_named.py (scatters) and others write what has loops of
its own. walk.py says what statements contain, interpret.py runs kernels with NumPy, verify.py
checks them.
"""
