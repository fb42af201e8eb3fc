/* Floor 2: threads. The only pair of files that knows OpenMP, forks and floating-point modes. */
#ifndef FD_PARALLEL_H
#define FD_PARALLEL_H

#include "base/common.h"

/* A stretch of parallel work. fd_begin takes the thread pool, or, when another thread of the
   process has it (or the process is a fork of one that used it), settles for one thread: callers
   never wait and never double the threads. */
typedef struct {
    int threads; /* at least 1, at most what was wanted and what fd_set_threads allows */
    int owns_pool;
    char *workspace; /* threads * stride bytes, cache-line aligned; kept from call to call */
    size_t stride;   /* bytes a thread */
} fd_region;

typedef void (*fd_task)(const fd_region *region, int thread, void *context);

int fd_begin(fd_region *region, ptrdiff_t wanted,
             size_t workspace_bytes); /* FD_OK or FD_NO_MEMORY (nothing to end then) */
/* Calls task(region, t, context) for every t < region->threads. flush: subnormals count as zero
   meanwhile. Tasks must not wait for each other. May be called several times between begin and end.
 */
void fd_run(const fd_region *region, fd_task task, void *context, int flush);
void fd_end(fd_region *region);

/* How many threads `work` elements are worth when a thread should have at least `grain`. */
FD_INLINE ptrdiff_t fd_worth(ptrdiff_t work, ptrdiff_t grain) { return fd_max(1, work / grain); }

int fd_interrupted(
    void); /* asks the host language; called by drivers between chunks, outside regions */

#endif
