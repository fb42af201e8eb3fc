/* Floor 3: elementwise work: a rows x units array cut into pieces for threads, at whole groups of
   units, and into chunks between which an interrupt is noticed. */
#ifndef FD_PIECES_H
#define FD_PIECES_H

#include "runtime/cpu.h"
#include "fastdrop.h"
#include "runtime/parallel.h"

enum {
    FD_GRAIN = 16384,  /* elements worth a thread: about 2 us of copying; a region costs 1 us */
    FD_CHUNK = 1 << 23 /* elements between two looks for an interrupt: 0.2 s of scalar code */
};

/* What a piece may need; one struct for all elementwise tasks. */
typedef struct piece_work {
    void (*piece)(const struct piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                  ptrdiff_t units);
    const fd_table *k;
    void *y;
    const float *x, *saved;
    ptrdiff_t units, groups, begin,
        end; /* units a row, groups a row, the chunk in groups counted over all rows */
    const fd_stream *s;
    uint64_t q;
    fd_drop drop;
    fd_concrete concrete;
    double *sums;
    float scale, alpha;
    int kind, nt;
} piece_work;

/* w->piece on all of rows x w->units; flush: subnormals count as zero meanwhile */
int fd_for_pieces(piece_work *w, ptrdiff_t rows, int flush);
/* A flat array as one row, so that pieces are cut anywhere. */
int fd_for_flat(piece_work *w, ptrdiff_t n, int flush);

#endif
