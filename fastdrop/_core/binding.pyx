# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""The Cython binding: each function fills one C struct and makes one call without the GIL.

Arrays are C-contiguous float32 where the function does not say otherwise. The Python layers above
validate them; nothing is checked here. There are no policies and no messages for users. Shapes,
aliasing and errors of each call: csrc/include/fastdrop.h.
"""

from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset
cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals

from fastdrop._core.fastdrop cimport *
from fastdrop._core.fastdrop_maps cimport *
from fastdrop._core.fastdrop_sequences cimport *
from fastdrop._core.fastdrop_thinned cimport *

cnp.import_array()

include "common.pxi"
include "masks.pxi"
include "random.pxi"
include "dropout.pxi"
include "activation.pxi"
include "noise.pxi"
include "dropblock.pxi"
include "product.pxi"
include "convolution.pxi"
include "pool.pxi"
include "norm.pxi"
include "recurrent.pxi"
include "attention.pxi"
include "thinned.pxi"
include "dropconnect.pxi"
include "sparse.pxi"
include "concrete.pxi"
include "reduction.pxi"
include "loss.pxi"
include "optim.pxi"
include "runtime.pxi"
include "context.pxi"
include "modes.pxi"
