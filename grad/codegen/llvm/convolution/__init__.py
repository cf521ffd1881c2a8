"""Convolutions: register tiles over a padded copy of the image, and weights packed once.

plan.py and weight_plan.py decide, padded_copy.py says where the image lies; emit.py writes the
forward kernel and the gradient to the image with calls.py, copy.py, tiles.py and finish.py, and
requests.py what tiles ask of memory; weight.py writes the gradient to the weight. phase.py connects
them with the kernel IR. winograd.py and the files named after it are the form with fewer
multiplications.
"""
