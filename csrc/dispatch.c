#include "dispatch.h"
#include "fastdrop.h"

#include <stdatomic.h>
#include <unistd.h>

extern const fd_table fd_table_scalar;
#if defined(FD_X86)
extern const fd_table fd_table_avx2, fd_table_avx512;

static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#elif defined(FD_ARM64)
extern const fd_table fd_table_neon;
#endif
static int always(void) { return 1; }

/* best first */
static const struct {
    const fd_table *table;
    int (*available)(void);
} implementations[] = {
#if defined(FD_X86)
    {&fd_table_avx512, has_avx512},
    {&fd_table_avx2, has_avx2},
#elif defined(FD_ARM64)
    {&fd_table_neon, always}, /* part of the base architecture */
#endif
    {&fd_table_scalar, always},
};
enum { COUNT = sizeof implementations / sizeof *implementations };

static _Atomic(const fd_table *) current;

const fd_table *fd_kernels(void) {
    const fd_table *table = atomic_load_explicit(&current, memory_order_relaxed);
    if (table) return table;
    for (int i = 0; i < COUNT && !table; i++)
        if (implementations[i].available()) table = implementations[i].table;
    atomic_store(&current, table);
    return table;
}

const char *fd_isa_name(int i, int *available) {
    if (i < 0 || i >= COUNT) return NULL;
    *available = implementations[i].available();
    return implementations[i].table->name;
}

const char *fd_isa(void) { return fd_kernels()->name; }

int fd_set_isa(const char *name) {
    for (int i = 0; i < COUNT; i++)
        if (!strcmp(implementations[i].table->name, name) && implementations[i].available()) {
            atomic_store(&current, implementations[i].table);
            return FD_OK;
        }
    return FD_UNKNOWN_ISA;
}

ptrdiff_t fd_cache_bytes(int level) {
    static _Atomic ptrdiff_t known[4];
    ptrdiff_t bytes = atomic_load_explicit(&known[level], memory_order_relaxed);
    if (bytes) return bytes;
    static const ptrdiff_t usual[4] = {0, 32 << 10, 1 << 20, 32 << 20}; /* where the system does not say */
#ifdef _SC_LEVEL1_DCACHE_SIZE
    static const int names[4] = {0, _SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
    bytes = sysconf(names[level]);
#endif
    if (bytes <= 0) bytes = usual[level];
    atomic_store(&known[level], bytes);
    return bytes;
}
