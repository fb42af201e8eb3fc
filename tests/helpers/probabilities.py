"""Random class labels for tests of calibration."""


def labels_of(p, rng):
    """A class for each row of p (N, C), drawn with the probabilities of the row."""
    return (p.cumsum(1) < rng.random((len(p), 1))).sum(1).clip(max=p.shape[1] - 1)
