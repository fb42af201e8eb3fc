/* Block sizes, thread grains and other tuning constants, in two tables.

   Table 1 holds what changes the order of additions, and so the bits of a result. These values are
   constants of the instruction set. They must not depend on cache sizes, the number of threads, the
   batch size or a measurement: the same program must give the same bits on every machine that runs
   the same instruction set. Two more such constants stand beside the loop that they belong to, in
   kernels/reduction.inc (sumsq adds 512 elements in float32 before it goes on in float64) and
   kernels/dropconnect.inc (masked_dots has a fixed number of accumulators).

   Table 2 holds what changes the speed alone: blocking over the rows and columns of C, work a
   thread, stores past the caches. Only these may look at the machine's caches, and the functions
   below are the only place in csrc that does. Slice lengths of a single operation that no other
   file needs (activation.c, dropblock.c, dropout_shared.c, dropconnect.c) are named constants
   there.

   The register tile (FD_MR rows by FD_NV vectors) and the number of Philox blocks in flight
   (FD_FLIGHT) are compile-time constants of an instruction set and stand in simd/<name>.h. They
   change no bit: each element of C is one chain of multiply-adds over a piece of k, whatever the
   tile. */
#ifndef FD_TUNING_H
#define FD_TUNING_H

#include "base/common.h"

/* ---- Table 1: fixed, because it changes the order of additions ---- */

enum {
    /* Longest piece of k, in elements. The sums of the pieces are added one after the other. A tile
       of A (14 rows of 384 floats: 21 KiB) fits a first cache of 32 KiB. The value is the same for
       every instruction set; one that needs another value gets a field in fd_table. */
    FD_PIECE_OF_K = 384,
    FD_PIECE_OF_STEP = 256, /* the same in a step of a recurrent network: 336 and more are slower */
    FD_PIECE_UNIT = 16,     /* pieces of k are multiples of this, but for the last */
    FD_SUM_BLOCK = 65536,   /* elements of a partial sum of squares */
    FD_NORM_ROWS = 128,     /* rows of a partial sum of a normalisation */

    /* Convolution: which windows and positions make a chain. */
    FD_BAND = 1 << 16,        /* floats of a padded band of a map: 1/8 of a second cache of 2 MiB */
    FD_WEIGHT_PIXELS = 512,   /* positions that a weight gradient packs at a time */
    FD_DEPTHWISE_IMAGES = 4,  /* images in a group of a depthwise weight gradient, at least .. */
    FD_DEPTHWISE_GROUPS = 32, /* .. or as many as make so many groups */
};

/* The length of the pieces of at most `most` that k is cut into (the last may be shorter). */
FD_INLINE ptrdiff_t fd_piece(ptrdiff_t k, ptrdiff_t most) {
    const ptrdiff_t pieces = fd_max(1, fd_ceil_div(k, most));
    return fd_max(FD_PIECE_UNIT, fd_round_up(fd_ceil_div(k, pieces), FD_PIECE_UNIT));
}
FD_INLINE ptrdiff_t fd_piece_of_k(ptrdiff_t k) { return fd_piece(k, FD_PIECE_OF_K); }

/* Tiles of a block of Winograd's weight gradient: 128, whose transforms come from the third cache,
   or fewer if those then fit half of a second cache of 1 MiB (32 channels: 20 % faster). */
FD_INLINE ptrdiff_t fd_winograd_block(ptrdiff_t channels, ptrdiff_t outputs) {
    const ptrdiff_t fit = (1 << 17) / (36 * (channels + outputs));
    return fit < 56 ? 128 : fd_min(fit, 128);
}

/* ---- Table 2: free, because it changes no bit ---- */

enum {
    /* Matrix product: blocking. The buffers of fd_scratch (product/gemm.h) follow from these. */
    FD_COLUMNS_LEAST = 192, /* columns of B packed at a time, at least */
    FD_RUN = 8,             /* tiles of a transposed A packed at a time: reads whole cache lines */
    FD_STAGE = 16,          /* rows of a masked operand made at a time on their way to the packer */
    FD_TILE_M_MOST = 32,    /* no instruction set has a taller register tile */
    FD_TILE_N_MOST = 64,  /* nor a wider one; also the floats that a vector may read past a panel */
    FD_ROW_PAD = 16,      /* floats between rows of a packed operand, so that rows whose length is a
                             power of two do not share cache sets */
    FD_READ_TILES = 16,   /* tiles of rows of A up to which B is read where it lies */
    FD_TURNED_MOST = 128, /* rows of x up to which x w^T is computed turned (product/turned.c) .. */
    FD_TURNED_X = 1 << 18,    /* .. if x^T in panels has at most so many floats: 1 MiB */
    FD_TURNED_COLUMNS = 48,   /* columns of C that are turned at a time */
    FD_TURNED_ROWS = 8,       /* rows of w in a tile: as many lines as a cache set has places */
    FD_CONV_PANELS = 1 << 17, /* floats of a convolution's packed weights: 1/4 of it */
    FD_UNPACKED_UNIT =
        16, /* the gradient dy of a convolution of so many outputs, or a multiple, .. */
    FD_UNPACKED_PITCH = 64, /* .. and at most so many, is not packed */
    FD_PACKING_COST = 8, /* packing an element of B costs about as much as so many multiply-adds */
    FD_THIN_COST = 16,   /* the same for thinned weights, whose rows are compressed first */

    /* Work that is worth a thread. A parallel region costs about 1 us. */
    FD_PRODUCT_GRAIN = 1 << 19,    /* multiply-adds: about 10 us */
    FD_DEPTHWISE_GRAIN = 1 << 18,  /* multiply-adds of a depthwise convolution */
    FD_PACK_GRAIN = 1 << 16,       /* elements packed */
    FD_STEP_ROWS = 20,             /* sequences that are worth a thread; with fewer, and .. */
    FD_STEP_WEIGHTS = 1 << 17,     /* .. so many elements of w_hh, threads share out the units */
    FD_PROJECTED_ROWS = 256,       /* rows of x whose product with a small w_ih waits in a cache */
    FD_SMALL_PROJECTION = 1 << 16, /* elements of such a w_ih */
    FD_ROWS_GRAIN = 1 << 16,       /* elements of rows compressed for thinned networks */
    FD_GRAIN = 16384,              /* elements of elementwise work: about 2 us of copying */
    FD_CONNECT_GRAIN = 1 << 17,    /* weights x samples of DropConnect: about 5 us */
    FD_SPARSE_GRAIN = 1 << 15,     /* multiply-adds with sparse weights */
    FD_GRAINS_TO_WAKE = 24,        /* grains that are worth waking a thread, always */

    /* Work between two looks for an interrupt (Ctrl-C). */
    FD_PACK_CHUNK = 1 << 24,    /* elements packed */
    FD_CONNECT_CHUNK = 1 << 27, /* weights x samples of DropConnect */
    FD_SPARSE_CHUNK = 1 << 27,  /* multiply-adds with sparse weights */
    FD_CHUNK = 1 << 23          /* elements of elementwise work: 0.2 s of scalar code */
};
#define FD_DEPTHWISE_CHUNK 5e9 /* multiply-adds of a depthwise convolution: 0.1 s */
#define FD_PRODUCT_CHUNK 2e10  /* multiply-adds with a tile 32 columns wide: 0.1 s */

#define FD_SPIN_SECONDS 1e-3    /* 30000 rounds of libgomp's spinning (fastdrop/_core/loader.py) */
#define FD_SHARE_OF_REGIONS 0.6 /* of recent time, from which on smaller regions are divided */

/* Rows of x up to which x w^T is computed by tiles that transpose w in registers. A turned product
   takes as long for one row as for a whole vector of rows. */
ptrdiff_t fd_few_rows(void);

/* How many rows of a B that is read where it lies are fetched ahead. */
ptrdiff_t fd_read_ahead(void);

/* How many columns of B (of `columns` in all) are packed at a time: a multiple of tile_n whose
   panels fit the second cache. */
ptrdiff_t fd_columns_at_a_time(ptrdiff_t columns, ptrdiff_t tile_n);

/* How many tiles of Winograd's convolution are transformed at a time. */
ptrdiff_t fd_winograd_tiles(ptrdiff_t channels, ptrdiff_t outputs, ptrdiff_t tile_m);

/* Whether an output of so many floats is written with stores that bypass the caches. */
int fd_exceeds_caches(ptrdiff_t elements);

#endif
