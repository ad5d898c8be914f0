"""Everything that is neither translation nor transport: one file each, in one ordered list (app.py)."""
