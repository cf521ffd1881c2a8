"""From a graph to groups of values that share a kernel.

Read program.py (the walk that numbers a graph, and the key of its plan), split.py and
simplify.py (rewrites),
facts.py (what is known of one value), group.py (what is fused with what). explain.py says in words
what was decided, verify.py checks it.
"""
