"""Parts of the optimization step (optimizer.py) and of the optimizers it steps (builder.py)."""
