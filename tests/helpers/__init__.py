"""Test helpers: a NumPy reference of the mask contract, twins of kernels, gradient checks."""
