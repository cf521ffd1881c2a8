"""From groups to loops: kernel IR, which prints like Python.

Read ir.py (the language), lower.py (the order of loops), writer.py (what goes into them),
lower_named.py (contractions, scans, scatters), cost.py (which form is cheapest). interpret.py runs
kernels with NumPy, verify.py checks them.
"""
