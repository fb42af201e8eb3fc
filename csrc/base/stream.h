/* Row and draw numbers of a random stream, and the streams of parts of an array. types.h has the
   definition of fd_stream. */
#ifndef FD_BASE_STREAM_H
#define FD_BASE_STREAM_H

#include "base/common.h"
#include "base/types.h"

/* The coordinate of row i in which rows differ: the row number, or the second coordinate by sub. */
FD_INLINE uint32_t fd_row_number(const fd_stream *s, ptrdiff_t i) {
    return s->by_sub ? s->sub + (uint32_t)i : s->rows ? s->rows[i] : s->row0 + (uint32_t)i;
}

/* The draw of row i. */
FD_INLINE uint32_t fd_draw_number(const fd_stream *s, ptrdiff_t i) {
    return s->draws ? s->draws[i] : s->draw;
}

/* The stream of an array that begins at row `row` of this one. */
FD_INLINE fd_stream fd_rows_from(const fd_stream *s, ptrdiff_t row) {
    fd_stream from = *s;
    if (s->by_sub) from.sub += (uint32_t)row;
    else if (s->rows) from.rows += row;
    else from.row0 += (uint32_t)row;
    if (s->draws) from.draws += row;
    return from;
}

/* The stream inside sample i: an array whose rows are the second coordinate (by_sub). */
FD_INLINE fd_stream fd_in_sample(const fd_stream *s, ptrdiff_t i) {
    fd_stream inside = *s;
    inside.row0 = fd_row_number(s, i);
    inside.draw = fd_draw_number(s, i);
    inside.rows = inside.draws = NULL;
    inside.by_sub = 1;
    return inside;
}

#endif
