"""From kernel IR to something that runs.

backend.py is what the engine sees of a backend. There are two: llvm/ (machine code for the CPU) and
reference.py (NumPy).
"""
