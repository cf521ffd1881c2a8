"""Ways to other libraries that have to know of us: a module for each, which the user imports.

Libraries that follow a standard need none: see `grad/array_api` for the Array API, and
``__dlpack__``.
"""
