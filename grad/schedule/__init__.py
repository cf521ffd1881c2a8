"""From a graph to groups of values that share a kernel.

Read program.py (the walk that numbers a graph, and the key of its plan; sizes.py takes the sizes
out of it), split.py, simplify.py and early.py (rewrites), facts.py (what is known of one value),
group.py (what is fused with what) with rows.py and columns.py (its rules about rows, and about sums
over them). explain.py says in words what was decided, verify.py checks it.
"""
