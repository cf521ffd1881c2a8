"""The examples and the programs of tests/programs, timed beside PyTorch as they stand.

    python -m benchmarks.examples

Read rows.py (what is timed), turns.py (how a script's loop is made to wait for its turn), names.py
(how a script written for one library runs with the other), worker.py (a process for each library),
then __main__.py (the rounds) and table.py.
"""
