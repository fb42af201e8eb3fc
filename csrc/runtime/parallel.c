/* See parallel.h. */
#define _GNU_SOURCE
#include "runtime/parallel.h"
#include "fastdrop.h"
#include "runtime/probe.h"
#include "runtime/tuning.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define FD_HAS_FORK 1
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

static atomic_int pool_taken;     /* 1 while a region owns the pool */
static atomic_int wanted_threads; /* 0 until it is first asked for */
/* The most threads that could be created when more were wanted; INT_MAX while all could. */
static atomic_int possible_threads = INT_MAX;
/* The threads that the OpenMP library holds for this thread, itself included. A larger region
   creates more. A smaller one ends those above its number. */
static _Thread_local int team_threads = 1;
static atomic_int forget_recent; /* 1: the number of threads was set */
/* After a fork the child has none of libgomp's threads, and a parallel region would wait for them
   for ever: the child computes with one thread. */
static int pool_lost;
/* Seconds of recent time, and of regions that could be divided in it; see second_thread_pays. The
   three belong to the owner of the pool. */
static double recent_time, recent_work, last_end;
static char *kept; /* the workspace; only the owner of the pool touches it */
static size_t kept_bytes;
static int (*interrupt_hook)(void);

#ifdef FD_HAS_FORK
static void in_child(void) {
    pool_lost = 1;
    /* If a region was open, its thread does not exist in the child, and it may have been replacing
       the workspace when the fork happened: forget the workspace, do not free it. */
    if (atomic_exchange(&pool_taken, 0)) {
        kept = NULL;
        kept_bytes = 0;
    }
}
static pthread_once_t watch_once = PTHREAD_ONCE_INIT;
static void watch_forks(void) { pthread_atfork(NULL, NULL, in_child); }
#endif

int fd_has_openmp(void) {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

static int default_threads(void) {
#ifdef _OPENMP
    return (int)fd_min(omp_get_max_threads(), FD_MAX_THREADS);
#else
    return 1;
#endif
}

void fd_set_threads(int n) {
    n = n < 1 || !fd_has_openmp() ? 1 : n > FD_MAX_THREADS ? FD_MAX_THREADS : n;
    atomic_store(&wanted_threads, n);
    atomic_store(&possible_threads, INT_MAX); /* try again */
    atomic_store(&forget_recent, 1);
}

static int threads_wanted(void) {
    int n = atomic_load(&wanted_threads);
    if (n == 0) {
        n = default_threads();
        fd_set_threads(n);
    }
    return n;
}

int fd_get_threads(void) { return (int)fd_min(threads_wanted(), atomic_load(&possible_threads)); }

int fd_missing_threads(void) { return threads_wanted() - fd_get_threads(); }

/* At most n threads for a region, all of which exist or can be created. The OpenMP library ends the
   process if it cannot create one. */
static int creatable(int n) {
    if (n <= team_threads) return n;
    n = (int)fd_max(team_threads, fd_min(n, atomic_load(&possible_threads)));
    if (n == team_threads) return n;
    const int found = team_threads + fd_probe_threads(n - team_threads);
    if (found < n) atomic_store(&possible_threads, found);
    return found;
}

/* Whether a region of so little work should have more than one thread.

   Between regions the other threads spin, about 1 ms, because to wake a sleeping thread takes 60 us
   (a spinning one: 1 us). In a training step of a small network, most of which is Python, they
   would double the processor time and save nothing: a step of 10-256-256-10 with 64 rows took 590
   us on one thread, and on two 600 us and 2.0 times the processor time. So small regions are
   divided where they fill most of the time that the threads would be awake. A program of nothing
   but regions is such a case (one row through 784-1024-1024-10, again and again: 63 us instead of
   95), and so is the first region after fd_set_threads. */
static int second_thread_pays(void) {
    if (atomic_exchange(&forget_recent, 0)) recent_time = recent_work = 0.0;
    return recent_work >= FD_SHARE_OF_REGIONS * recent_time;
}

static double seconds_now(void) {
#ifdef _OPENMP
    return omp_get_wtime();
#else
    return 0.0;
#endif
}

/* Counts a region that could be divided. Times are those of one thread, as far as is known: n
   threads are taken to be (n + 1) / 2 times as fast as one. */
static void note_region(const fd_region *region) {
    const double now = seconds_now(), took = (now - region->began) * (region->threads + 1) / 2,
                 gap = region->began - last_end,
                 time = took + (gap < FD_SPIN_SECONDS ? gap : FD_SPIN_SECONDS),
                 fade = FD_SPIN_SECONDS / (FD_SPIN_SECONDS + time);
    recent_time = fade * recent_time + time;
    recent_work = fade * recent_work + took;
    last_end = now;
}

void fd_set_interrupt_hook(int (*hook)(void)) {
    interrupt_hook = hook;
#ifdef FD_HAS_FORK
    /* The binding calls this when it is imported, so before any fork of a process that uses it. */
    pthread_once(&watch_once, watch_forks);
#endif
}
int fd_interrupted(void) { return interrupt_hook && interrupt_hook(); }

/* Aligned to a cache line, or to a huge page where it is that large. */
static char *allocate(size_t bytes) {
    char *p = NULL;
    const size_t huge = (size_t)2 << 20, align = bytes >= huge ? huge : FD_CACHE_LINE;
    bytes = (bytes + align - 1) / align * align;
    p = aligned_alloc(align, bytes);
#if defined(__linux__)
    if (p && align == huge)
        madvise(p, bytes, MADV_HUGEPAGE); /* fewer TLB misses in packed panels */
#endif
    return p;
}

int fd_begin(fd_region *region, ptrdiff_t wanted, size_t workspace_bytes) {
#ifdef FD_HAS_FORK
    pthread_once(&watch_once, watch_forks);
#endif
    int free_now = 0;
    region->owns_pool = atomic_compare_exchange_strong(&pool_taken, &free_now, 1);
    region->threads = 1;
    region->began = 0.0;
    if (region->owns_pool && !pool_lost && wanted > 1 && threads_wanted() > 1) {
        region->began = seconds_now();
        if (wanted >= FD_GRAINS_TO_WAKE || second_thread_pays())
            region->threads = creatable((int)fd_min(wanted, threads_wanted()));
    }
    region->stride = (workspace_bytes + FD_CACHE_LINE - 1) / FD_CACHE_LINE * FD_CACHE_LINE;
    region->workspace = NULL;
    const size_t bytes = region->stride * (size_t)region->threads;
    if (bytes == 0) return FD_OK;
    if (!region->owns_pool) {
        region->workspace = allocate(bytes);
    } else {
        if (kept_bytes < bytes) {
            free(kept);
            kept = allocate(bytes);
            kept_bytes = kept ? bytes : 0;
        }
        region->workspace = kept;
    }
    if (region->workspace) return FD_OK;
    fd_end(region);
    return FD_NO_MEMORY;
}

void fd_end(fd_region *region) {
    if (region->began > 0.0) note_region(region);
    if (region->owns_pool) atomic_store(&pool_taken, 0);
    else free(region->workspace);
}

/* Arithmetic on subnormal numbers takes up to 100 times as long. The caller's floating-point mode
   is restored after the task. */
static void run_flushed(const fd_region *region, int thread, fd_task task, void *context) {
#if defined(__x86_64__) || defined(__i386__)
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040u); /* flush to zero, subnormals are zero */
    task(region, thread, context);
    _mm_setcsr(before);
#elif defined(__aarch64__)
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (uint64_t)1 << 24));
    task(region, thread, context);
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
#else
    task(region, thread, context);
#endif
}

static void run_one(const fd_region *region, int thread, fd_task task, void *context, int flush) {
    if (flush) run_flushed(region, thread, task, context);
    else task(region, thread, context);
}

void fd_run(const fd_region *region, fd_task task, void *context, int flush) {
#ifdef _OPENMP
    if (region->threads > 1) {
        team_threads = region->threads;
#pragma omp parallel num_threads(region->threads)
        {
            const int team = omp_get_num_threads(); /* may be smaller than asked for */
            for (int t = omp_get_thread_num(); t < region->threads; t += team)
                run_one(region, t, task, context, flush);
        }
        return;
    }
#endif
    for (int t = 0; t < region->threads; t++) run_one(region, t, task, context, flush);
}
