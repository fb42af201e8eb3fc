/* The loop nest of the matrix product C = A B, for drivers inside csrc. Internal: not installed.

   A is m x k, B is k x n, C is m x n with leading dimension ldc. The loop nest knows none of the
   operands' layouts. Hooks copy blocks of A and B into the form that the register tile reads, and
   say what happens to finished elements of C. A dense layer, a convolution, a recurrent cell and
   an attention head differ in their hooks only. product/pack.h and product/epilogue.h have the
   hooks for dense operands, product/dense.c chooses among them for fd_gemm.

   The five loops (Goto, van de Geijn, 2008), as one thread runs them on its part of C:

       for each block of nc columns of C           panels of B fill part of the second cache
           for each piece of kc of k               fd_piece_of_k: a function of k alone
               b.pack                              B[pc .. pc+kc, jc .. jc+nc) -> panels
               for each range of rows              a.cut; without it all rows are one range
                   for each run of tiles           tiles of equal height, at most tile_m rows
                       a.pack                      A[i .., pc .. pc+kc) -> rows or small panels
                       for each tile of the run    a strip: t->mr rows x nc columns of C
                           out.start               last piece of k only
                           for each tile_n columns: the register tile
                           out.finish              last piece of k only; the strip is in the first
                                                   cache

   Each element of C is a sum over the pieces of k in order, each piece one chain of multiply-adds.
   So the bits do not depend on the threads, the blocking or the rows beside an element.

   Rules for every hook:
     - It runs on the thread that computes the block, inside a parallel region, once a block.
       Several threads call it at the same time: the context is read-only.
     - It may write the buffer of fd_scratch that its contract names, s->stage, and the fields of
       fd_tile that its contract names. The nest sets t->mr and t->k before it calls a hook.
     - s->stage holds nothing between two calls. A driver that needs more memory a thread opens a
       region of its own and calls fd_nest_alone with a context for each thread.
     - It allocates nothing, opens no region, and cannot fail.
     - Threads share out C: each packs what it needs, so a block may be packed by several threads,
       and a block of A once for each block of columns. A packer must give the same values each time
       (masks are functions of coordinates, so they are the same). */
#ifndef FD_PRODUCT_GEMM_H
#define FD_PRODUCT_GEMM_H

#include "kernels/table.h"

typedef struct fd_nest fd_nest;

/* A thread's buffers, each at a cache line. Behind rows, panels and stage a vector may touch 64
   more floats. kc and nc are those of the block that the hook is called for. */
typedef struct {
    float *panels; /* b.pack: nc (rounded up to tile_n) * kc floats */
    float *rows;   /* a.pack: tiles * t->mr * (kc + 16) floats */
    float *stage;  /* any hook while it runs: FD_STAGE * nc, FD_STAGE * FD_RUN * tile_m, or tile_n *
                      kc floats, whichever is most */
    int32_t *index; /* a.cut: kc numbers */
    uint32_t *bits; /* out.start: packed keep bits of a strip, with every group that it touches */
    float *tile;    /* a tile of C where the nest has no c: t->mr rows, t->ldc apart */
} fd_scratch;

/* Copies blocks of A into the form that the register tile reads. */
typedef struct {
    /* Packs `tiles` tiles of t->mr rows each: A[i .. i + tiles*t->mr, pc .. pc + t->k).
       Sets t->a, and either t->a_rows = 1 and t->lda (rows: a[r*lda + p]; then `run` is 1), or
       t->a_rows = 0 (packed: a[p*mr + r], tile after tile, t->mr * t->k floats each).
       Writes s->rows; t->a may also point to the caller's memory. */
    void (*pack)(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i, ptrdiff_t tiles,
                 ptrdiff_t pc);
    /* NULL, or: finds the rows from i on (below `end`) whose nonzero columns are the same, and
       returns where they end. Sets t->index (s->index) and t->count to the columns, counted from
       pc, of the piece [pc, pc + t->k) that the tiles use. A column that is left out must be 0 in A
       and finite in B. Only with t->a_rows. */
    ptrdiff_t (*cut)(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                     ptrdiff_t end, ptrdiff_t pc);
    const void *context;
    ptrdiff_t run; /* tiles that pack takes at a time: 1 .. FD_RUN */
} fd_a_packer;

/* Copies blocks of B into panels. */
typedef struct {
    /* Returns the panels of B[pc .. pc+kc, jc .. jc+nc): element (p, j) at
       [j / tile_n * tile_n * kc + p * tile_n + j % tile_n], zeros for columns >= nc of the last
       panel. jc is a multiple of tile_n. Writes s->panels, or returns memory that the caller keeps.
     */
    const float *(*pack)(const fd_nest *nest, const fd_scratch *s, ptrdiff_t pc, ptrdiff_t kc,
                         ptrdiff_t jc, ptrdiff_t nc);
    /* NULL, or: B is not packed where A has few rows (FD_READ_TILES tiles at most). Points t->b and
       t->ldb at B[pc .., j ..] in the caller's memory, as t->b_place says: FD_B_ROWS or
       FD_B_COLUMNS (then m <= tile_m). For packers of A that give rows and do not cut. */
    void (*read)(const fd_nest *nest, fd_tile *t, ptrdiff_t pc, ptrdiff_t j);
    int place; /* of b.read: enum fd_b_place */
    const void *context;
    double cost; /* of one element, in multiply-adds: 8 if it is packed, 1 if it is only read.
                    Decides how threads share out C; changes no bit. */
} fd_b_packer;

/* What happens to the elements of C when their sums are complete. Either hook may be NULL. */
typedef struct {
    /* Before the strip C[i .. i + t->mr, jc .. jc + nc): sets what the register tile does while the
       sums are in registers: t->bias (of column jc), t->relu, and t->bits (row r at bits +
       r*bits_ld), t->bits_ld, t->bit0 (the bit of column jc) and t->scale. bias, relu and bits are
       cleared before; the nest advances bias and bit0 from tile to tile. Writes s->bits. May set
       t->fetch and t->fetch_ld: what `finish` uses, which the tiles fetch. */
    void (*start)(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i, ptrdiff_t jc,
                  ptrdiff_t nc);
    /* After the strip was written: may read and change these elements of C, and memory that belongs
       to these elements alone (an optimiser's state). Strips may be cut differently on another
       machine: sums over rows of C need a partial sum for each fixed group of rows. */
    void (*finish)(const fd_nest *nest, const fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                   ptrdiff_t jc, ptrdiff_t nc);
    const void *context;
} fd_epilogue;

/* A product, which every hook gets: nest->a.context is the context of the packer of A, and so on.
 */
struct fd_nest {
    const fd_table *kernels; /* one table for the whole call: fd_kernels() */
    ptrdiff_t m, n, k;
    float *c; /* NULL: C is not stored, out.finish uses up s->tile after tile; k is one piece */
    ptrdiff_t ldc;
    int accumulate;                    /* C += A B, else what C held does not matter */
    void (*begin)(void), (*end)(void); /* around a thread's tiles; NULL where nothing is to do */
    fd_a_packer a;
    fd_b_packer b;
    fd_epilogue out;
};

/* Computes the product on as many threads as pay off. Opens regions of its own, so it must not be
   called inside one. FD_OK, FD_NO_MEMORY or FD_INTERRUPTED. m, n and k may be 0; with k = 0 the
   sums are 0 and the epilogue runs. */
int fd_nest_run(const fd_nest *nest);

/* Computes the product on the calling thread alone, inside a region of the caller, which chose how
   subnormals count. room: fd_nest_room(nest) bytes, at a cache line. Same bits as fd_nest_run. */
void fd_nest_alone(const fd_nest *nest, char *room);
size_t fd_nest_room(const fd_nest *nest);

#endif
