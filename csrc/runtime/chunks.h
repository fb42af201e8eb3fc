/* Elementwise work over a rows x units array, by all threads.

   The array is cut twice. Chunks run one after the other, with a look for an interrupt between
   them. Each chunk is cut into one piece a thread, at whole groups of FD_GROUP units, so that no
   two threads need the bits of the same group of a mask. */
#ifndef FD_RUNTIME_CHUNKS_H
#define FD_RUNTIME_CHUNKS_H

#include "fastdrop.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

/* What a piece may need: one struct for all elementwise tasks, of which each fills its part. */
typedef struct piece_work {
    /* Called with whole rows [row, row + rows) (unit0 = 0, units = w->units), or with units [unit0,
       unit0 + units) of one row; unit0 is a multiple of FD_GROUP. */
    void (*piece)(const struct piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                  ptrdiff_t units);
    const fd_table *k; /* set by fd_for_pieces */
    void *y;
    const float *x, *saved;
    ptrdiff_t units, groups; /* of a row; fd_for_pieces sets groups */
    ptrdiff_t begin, end;    /* the chunk, in groups counted over all rows */
    const fd_stream *s;
    uint64_t q;
    fd_drop drop;
    fd_concrete concrete;
    double *sums;
    float scale, alpha;
    int kind, uncached; /* uncached: stores past the caches; uncached_end is called for the thread
                           at the end */
} piece_work;

/* Calls w->piece for all of rows x w->units. flush: subnormals count as zero meanwhile. FD_OK,
   FD_NO_MEMORY or FD_INTERRUPTED. */
int fd_for_pieces(piece_work *w, ptrdiff_t rows, int flush);
/* The same for a flat array of n elements: one row, so pieces may be cut at any group. */
int fd_for_flat(piece_work *w, ptrdiff_t n, int flush);

#endif
