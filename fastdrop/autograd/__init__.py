"""Tensors, the tape of backward, Monte Carlo passes and lazy products."""
