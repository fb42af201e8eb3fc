"""Wrong use of kernels, data and files: each marked line must be reported, and no other."""

import numpy as np

import fastdrop as fd
from fastdrop import kernels
from fastdrop.data import Dataset, Standardizer

x = np.ones((8, 4), np.float32)

kernels.dropout(x)  # error: call-arg, reportCallIssue
kernels.dropout(x, 0.5, 1)  # error: call-arg, reportCallIssue
kernels.dropout(x, 0.5, seeds=1)  # error: call-arg, reportCallIssue
kernels.dropout(x, 0.5, seed="1")  # error: arg-type, reportArgumentType
kernels.dropout(x, 0.5, out=np.ones((8, 4)))  # error: arg-type, reportArgumentType
mask: int = kernels.keep_mask(8, 4, 0.5)  # error: assignment, reportAssignmentType
kernels.drop_out(x, 0.5)  # error: attr-defined, reportAttributeAccessIssue

Dataset(x, classes=3)  # error: arg-type, reportArgumentType
Standardizer.fit(x).apply(x)  # error: attr-defined, reportAttributeAccessIssue
fd.data.split(x, 0.5)  # error: arg-type, reportArgumentType

fd.save("model.safetensors", 3)  # error: arg-type, reportArgumentType
fd.load(3)  # error: call-overload, reportArgumentType
fd.schedules.Linear(0.0, 0.5)  # error: call-arg, reportCallIssue
