"""Shared by the tests: the slow statement of the mask contract, NumPy twins of kernels, gradient checks."""
