"""Data in memory: samples and targets, reproducible batches, splits, standardisation.

The shuffling of a run follows from `fastdrop.manual_seed` (generators "shuffle" and "split"). `load_csv` and `load_npz`
read files.
"""

from fastdrop.data.batches import Batches, batches
from fastdrop.data.dataset import Dataset, split
from fastdrop.data.readers.csv import load_csv
from fastdrop.data.readers.npz import load_npz
from fastdrop.data.standardize import Standardizer

__all__ = ["Batches", "Dataset", "Standardizer", "batches", "load_csv", "load_npz", "split"]
