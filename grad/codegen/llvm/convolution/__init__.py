"""Convolutions: register tiles over a padded copy of the image, and weights packed once.

plan.py and weight_plan.py decide, padded_copy.py says where the image lies; emit.py writes the
forward kernel and the gradient to the image with copy.py, tiles.py and finish.py, weight.py the
gradient to the weight; phase.py connects them with the kernel IR. winograd.py and the files named
after it are the form with fewer multiplications.
"""
