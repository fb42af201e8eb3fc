"""Data sets, reproducible batches and splits, augmentation, standardisation, and readers of files.

The order of shuffled batches, the split and the augmentation follow from `fastdrop.manual_seed`.
"""

from fastdrop.data import transforms
from fastdrop.data.batches import Batches, batches
from fastdrop.data.bptt import BPTTBatches, RandomWindows
from fastdrop.data.combined import ChainDataset, ConcatDataset, IterableDataset, StackDataset
from fastdrop.data.dataset import Dataset, split
from fastdrop.data.loader import (
    DataLoader,
    default_collate,
    default_convert,
    get_worker_info,
)
from fastdrop.data.padding import pad_collate
from fastdrop.data.readers.cifar import read_cifar
from fastdrop.data.readers.csv import load_csv
from fastdrop.data.readers.idx import read_idx
from fastdrop.data.readers.image_folder import ImageFolder
from fastdrop.data.readers.images import as_images, load_images
from fastdrop.data.readers.labelled_text import LabelledText, read_labelled_text
from fastdrop.data.readers.npz import load_npz
from fastdrop.data.readers.pictures import read_image
from fastdrop.data.readers.series import Gap, Series, read_series
from fastdrop.data.readers.text import read_text
from fastdrop.data.samplers import (
    BatchSampler,
    BucketSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from fastdrop.data.series import (
    SeriesSplit,
    chronological_split,
    sliding_windows,
)
from fastdrop.data.standardize import Standardizer
from fastdrop.data.subsets import Subset, TensorDataset, random_split
from fastdrop.data.tokenizer import Tokenizer
from fastdrop.data.vocabulary import Vocabulary, split_words
from fastdrop.data.window_scaler import WindowScaler

__all__ = [
    "BPTTBatches",
    "BatchSampler",
    "Batches",
    "BucketSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "Gap",
    "ImageFolder",
    "IterableDataset",
    "LabelledText",
    "RandomSampler",
    "RandomWindows",
    "Sampler",
    "SequentialSampler",
    "Series",
    "SeriesSplit",
    "StackDataset",
    "Standardizer",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "Tokenizer",
    "Vocabulary",
    "WeightedRandomSampler",
    "WindowScaler",
    "as_images",
    "batches",
    "chronological_split",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "load_csv",
    "load_images",
    "load_npz",
    "pad_collate",
    "random_split",
    "read_cifar",
    "read_idx",
    "read_image",
    "read_labelled_text",
    "read_series",
    "read_text",
    "sliding_windows",
    "split",
    "split_words",
    "transforms",
]
