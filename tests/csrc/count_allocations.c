/* A library for LD_PRELOAD that counts heap allocations between counting_start and counting_stop:
   it replaces malloc and related functions of glibc, and tells callers apart by their return
   address. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);

static atomic_int counting;
static atomic_long core, openmp; /* calls from the core, from libgomp */
static atomic_long large;        /* calls from anywhere for LARGE bytes or more */
enum { LARGE = 4096 * 4 };

static __thread int inside;

static void count(const void *caller, size_t bytes) {
    if (!atomic_load(&counting) || inside) return;
    inside = 1; /* dladdr may allocate */
    Dl_info info;
    if (bytes >= LARGE) atomic_fetch_add(&large, 1);
    if (dladdr(caller, &info) && info.dli_fname) {
        if (strstr(info.dli_fname, "/_core/binding.")) atomic_fetch_add(&core, 1);
        if (strstr(info.dli_fname, "libgomp")) atomic_fetch_add(&openmp, 1);
    }
    inside = 0;
}

#define CALLER __builtin_return_address(0)
void *malloc(size_t n) {
    count(CALLER, n);
    return __libc_malloc(n);
}
void *calloc(size_t a, size_t b) {
    count(CALLER, a * b);
    return __libc_calloc(a, b);
}
void *realloc(void *p, size_t n) {
    count(CALLER, n);
    return __libc_realloc(p, n);
}
void *aligned_alloc(size_t a, size_t n) {
    count(CALLER, n);
    return __libc_memalign(a, n);
}
void *memalign(size_t a, size_t n) {
    count(CALLER, n);
    return __libc_memalign(a, n);
}
int posix_memalign(void **p, size_t a, size_t n) {
    count(CALLER, n);
    *p = __libc_memalign(a, n);
    return *p ? 0 : ENOMEM;
}

void counting_start(void) {
    core = openmp = large = 0;
    counting = 1;
}
void counting_stop(long figures[3]) {
    counting = 0;
    figures[0] = core;
    figures[1] = openmp;
    figures[2] = large;
}
