/* What the forward and the backward call of a recurrent layer share: the place of everything in the
   workspace, packed w_hh, and masks. Internal. */
#ifndef FD_OPS_RECURRENT_H
#define FD_OPS_RECURRENT_H

#include "fastdrop.h"
#include "kernels/table.h"
#include "runtime/parallel.h"

enum { FD_GATES_MOST = 4 };

/* The parts of a step: the cells, and what becomes of their h. With a projection the second comes
   after a product; else they are one. */
enum { FD_OF_CELLS = 1, FD_OF_OUTPUTS = 2 };

/* A block is tile_n units of the layer. */
typedef struct {
    const fd_table *k;
    const fd_recurrent_layer *layer;
    ptrdiff_t batch, total; /* sequences; rows of all steps */
    ptrdiff_t gates, slots; /* gates of w_hh; rows of `units` numbers beside each row of x */
    ptrdiff_t copies;       /* operands that products with w_hh read: one, or one for each gate */
    ptrdiff_t outs;         /* numbers of h */
    ptrdiff_t blocks, out_blocks;
    ptrdiff_t depth, piece; /* of a gate's product with w_hh; of w_hr: */
    ptrdiff_t projection_depth, projection_piece;
    ptrdiff_t words, out_words; /* of the keep bits of a row of units, and of h */
    int flipped;                /* panels of w_hh and w_hr: backward; else of their transposes */
    /* in the workspace */
    float *panels, *projection;
    float *bias;                     /* gates * units */
    float *seen[2][FD_GATES_MOST];   /* batch x units each: before and after a step */
    uint32_t *hidden[FD_GATES_MOST]; /* keep bits of the masks that are the same in all steps */
    uint32_t *update;
    ptrdiff_t *at; /* where each step begins, and the end */
} fd_recurrence;

/* The parts of a thread's room. */
typedef struct {
    float *sums;                        /* backward: copies x batch x tile_n */
    uint32_t *update, *zone_c, *zone_h; /* keep bits of a step: batch x words */
    float *stage;                       /* a block of w_hh before it is packed */
} fd_recurrence_room;

/* room NULL: only sizes. Returns the floats. */
ptrdiff_t fd_recurrence_start(fd_recurrence *r, const fd_recurrent_layer *layer, float *workspace,
                              int flipped);
size_t fd_recurrence_carve(fd_recurrence_room *to, char *from, const fd_recurrence *r);

/* A thread's room in the workspace of a region. */
fd_recurrence_room fd_room_of(const fd_recurrence *r, const fd_region *region, int thread);

/* Where gate g of w_hh stands beside a row of x. */
ptrdiff_t fd_gate_slot(int cell, ptrdiff_t gate);

/* Thread `thread` of `threads` packs its part of w_hh, and draws its part of the masks that are the
   same in all steps. */
void fd_recurrence_prepare(const fd_recurrence *r, int thread, int threads,
                           const fd_recurrence_room *room);

/* The masks of a step of the data for sequences [row, row + rows); and those of some parts of a
   step for units, or numbers of h, from unit0 on of the sequences from `row` on. */
void fd_draw_step(const fd_recurrence *r, const fd_recurrence_room *room, ptrdiff_t step,
                  ptrdiff_t row, ptrdiff_t rows);
fd_cell_masks fd_step_masks(const fd_recurrence *r, const fd_recurrence_room *room, ptrdiff_t row,
                            ptrdiff_t unit0, int parts);
int fd_parts(const fd_recurrence *r); /* of the first half of a step */

/* c (+)= a panel, n <= tile_n columns. */
void fd_rows_times_panel(const fd_table *k, float *c, ptrdiff_t ldc, const float *a, ptrdiff_t lda,
                         const float *panel, ptrdiff_t depth, ptrdiff_t rows, ptrdiff_t n, int add);

/* Steps between two looks for an interrupt, with the product of `inputs` numbers of x. */
ptrdiff_t fd_recurrence_chunk(const fd_recurrence *r, ptrdiff_t inputs);

/* Threads for `rows` rows of steps with `batch` sequences at most; by_units: they share out the
   units of each step, not the sequences. */
ptrdiff_t fd_recurrence_threads(const fd_recurrence *r, ptrdiff_t rows);
int fd_by_units(const fd_recurrence *r, int threads);

#endif
