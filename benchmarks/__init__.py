"""The benchmark suite: micrograd beside PyTorch, JAX, tinygrad and NumPy. `make bench`.

Read workload.py (what is timed), workloads/ (the list), frameworks.py and adapters/ (who is timed),
worker.py and client.py (a process for each), runner.py (the rounds), then what becomes of the
figures: scores.py, table.py, picture.py, report.py. docs/performance.md has results and says how to
repeat them.
"""
