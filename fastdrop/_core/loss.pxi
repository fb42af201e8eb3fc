"""Class numbers, and what losses do with one number for each sample.

Small loops without a kernel: they are for batches, where a call of NumPy takes longer.
"""

from libc.math cimport isnan
from libc.string cimport memcpy


def read_labels(cnp.ndarray t, cnp.ndarray sample, cnp.ndarray left_out, cnp.ndarray total,
                cnp.ndarray given, int64_t classes, bint leaves_out, int64_t ignored,
                cnp.ndarray weight=None):
    """Class numbers t (n,) int64, and their weights `sample` (n,), from labels that are given.

    Where leaves_out, the label `ignored` becomes class 0 with weight 0, and left_out (n,) uint8 or
    bool is 1. total (): the sum of the weights. Returns whether all other labels are in
    [0, classes); the results are not to be used otherwise.
    """
    cdef Py_ssize_t i, n = cnp.PyArray_SIZE(given)
    cdef const int64_t *source = longs(given)
    cdef int64_t *to = <int64_t *> cnp.PyArray_DATA(t)
    cdef uint8_t *out = <uint8_t *> cnp.PyArray_DATA(left_out)
    cdef float *w = data_or_null(weight)
    cdef float *s = data(sample)
    cdef double count = 0.0
    cdef bint fine = True
    with nogil:
        for i in range(n):
            out[i] = leaves_out and source[i] == ignored
            to[i] = 0 if out[i] else source[i]
            if <uint64_t> to[i] >= <uint64_t> classes:
                to[i], fine = 0, False
            s[i] = 0.0 if out[i] else (1.0 if w == NULL else w[to[i]])
            count += s[i]
    data(total)[0] = <float> count
    return fine


def divided_sum(cnp.ndarray out, cnp.ndarray x, cnp.ndarray total):
    """out () = the sum of x, added up in float64 and rounded to float32, divided by total ()."""
    cdef double sums[8]
    cdef Py_ssize_t i, n = cnp.PyArray_SIZE(x)
    cdef const float *source = data(x)
    cdef double result
    memset(sums, 0, sizeof(sums))
    with nogil:
        for i in range(n):
            sums[i & 7] += source[i]
    result = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + (
        (sums[4] + sums[5]) + (sums[6] + sums[7]))
    data(out)[0] = <float> result / data(total)[0]


def weighted(cnp.ndarray out, cnp.ndarray x, cnp.ndarray factor, cnp.ndarray total):
    """out (n,) = x (n,) * (factor / total ()), factor (n,) or (1,). A total of 0 counts as 1: x is
    0 then, as the weights of a loss whose samples are all left out.
    """
    cdef Py_ssize_t i, n = cnp.PyArray_SIZE(x)
    cdef Py_ssize_t step = cnp.PyArray_SIZE(factor) > 1
    cdef float *to = data(out)
    cdef const float *source = data(x)
    cdef const float *f = data(factor)
    cdef float divisor = data(total)[0] or <float> 1
    with nogil:
        for i in range(n):
            to[i] = source[i] * (f[i * step] / divisor)


def count_right(cnp.ndarray scores, cnp.ndarray labels):
    """How many rows of scores (n, c) have their maximum at the label (n,) int64.

    The first one counts where several are equal, and NaN is above all numbers, as in np.argmax.
    """
    cdef Py_ssize_t i, j, best, n = rows_of(scores), c = cnp.PyArray_DIM(scores, 1), count = 0
    cdef const float *row = data(scores)
    cdef const int64_t *label = longs(labels)
    with nogil:
        for i in range(n):
            best = 0
            for j in range(1, c):
                if row[j] > row[best] or (isnan(row[j]) and not isnan(row[best])):
                    best = j
            count += best == label[i]
            row += c
    return count


def copy(cnp.ndarray out, cnp.ndarray x):
    """out = x, both contiguous, of one dtype and size."""
    memcpy(cnp.PyArray_DATA(out), cnp.PyArray_DATA(x), cnp.PyArray_NBYTES(x))


def replay(list calls):
    """Call each without arguments."""
    for call in calls:
        call()


def same_tensors(list tensors):
    """Whether each (tensor, array, requires_grad) holds, and the array can be written to."""
    cdef tuple entry
    for entry in tensors:
        tensor = entry[0]
        if tensor._data is not entry[1] or tensor.requires_grad is not entry[2]:
            return False
        if not cnp.PyArray_ISWRITEABLE(<cnp.ndarray> entry[1]):
            return False
    return True


def same_entries(list dicts):
    """Whether each (dict, number of entries, key, value, key, value ...) holds, by identity."""
    cdef tuple entry
    cdef dict found
    cdef Py_ssize_t i
    for entry in dicts:
        found = entry[0]
        if len(found) != entry[1]:
            return False
        for i in range(2, len(entry), 2):
            if found.get(entry[i]) is not entry[i + 1]:
                return False
    return True
