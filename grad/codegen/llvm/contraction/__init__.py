"""Matrix products: `emit` writes the code of what `choose` has decided.

problem.py and plan.py decide (structure.py is what they hand over), emit.py writes the function:
tile_loops.py with microkernel.py and packing.py, or vector_product.py for few rows.
"""
