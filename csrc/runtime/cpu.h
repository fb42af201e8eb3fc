/* Floor 2: what this processor has: which table of kernels runs, how large the caches are. */
#ifndef FD_DISPATCH_H
#define FD_DISPATCH_H

#include "kernels/table.h"

const fd_table *fd_kernels(void);    /* the table in force */
ptrdiff_t fd_cache_bytes(int level); /* of this machine's data caches: 1, 2 (a core's) or 3 */
int fd_past_caches(
    ptrdiff_t elements); /* whether an output of so many floats is stored past them */

#endif
