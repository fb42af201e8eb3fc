"""Tensors, the graph of backward, batched Monte Carlo passes and lazy products."""
