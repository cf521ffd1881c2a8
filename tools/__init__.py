"""Programs for those who work on micrograd: `python -m tools.NAME`, from the repository root."""
