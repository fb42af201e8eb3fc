"""Data sets in memory, reproducible batches and splits, standardisation, and readers of files.

The order of shuffled batches and the split follow from `fastdrop.manual_seed` (its generators
"shuffle" and "split").
"""

from fastdrop.data.batches import Batches, batches
from fastdrop.data.dataset import Dataset, split
from fastdrop.data.readers.csv import load_csv
from fastdrop.data.readers.npz import load_npz
from fastdrop.data.standardize import Standardizer

__all__ = ["Batches", "Dataset", "Standardizer", "batches", "load_csv", "load_npz", "split"]
