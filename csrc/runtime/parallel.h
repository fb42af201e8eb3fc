/* Threads. parallel.[ch] are the only files that know OpenMP, fork and floating-point modes.

   A driver writes:

       fd_region region;
       int status = fd_begin(&region, wanted_threads, workspace_bytes_per_thread);
       if (status != FD_OK) return status;
       fd_run(&region, task, &work, 1);
       fd_end(&region);

   Regions do not nest. Results must not depend on region.threads. */
#ifndef FD_RUNTIME_PARALLEL_H
#define FD_RUNTIME_PARALLEL_H

#include "base/common.h"

/* A parallel region. fd_begin takes the thread pool. If another thread of the process has it, or
   the process is a fork of one that used it, the region has one thread: callers never wait, and the
   threads are never oversubscribed. */
typedef struct {
    int threads; /* at least 1, at most what was wanted and what fd_set_threads allows */
    int owns_pool;
    char *workspace; /* threads * stride bytes, at a cache line; the pool keeps it between calls */
    size_t stride;   /* bytes a thread: thread t has workspace + t * stride */
    double began;    /* seconds on a clock; 0 where it could not be divided */
} fd_region;

typedef void (*fd_task)(const fd_region *region, int thread, void *context);

/* There are fewer threads than wanted if the system cannot create them, and one where little work
   is wanted rarely (parallel.c, second_thread_pays).
   workspace_bytes: of each thread. FD_OK or FD_NO_MEMORY; call fd_end only after FD_OK. */
int fd_begin(fd_region *region, ptrdiff_t wanted, size_t workspace_bytes);
/* Calls task(region, t, context) for every t < region->threads. flush: subnormals count as zero
   meanwhile. Tasks must not wait for each other: there may be fewer OS threads than tasks. May be
   called several times between fd_begin and fd_end. */
void fd_run(const fd_region *region, fd_task task, void *context, int flush);
void fd_end(fd_region *region);

/* How many threads `work` elements are worth if each should have at least `grain`. */
FD_INLINE ptrdiff_t fd_worth(ptrdiff_t work, ptrdiff_t grain) { return fd_max(1, work / grain); }

/* Asks the host language whether the user interrupted (fd_set_interrupt_hook). Drivers call it
   between chunks, outside regions. */
int fd_interrupted(void);

#endif
