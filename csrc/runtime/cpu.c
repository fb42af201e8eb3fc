/* Chooses the table of kernels for this processor and reads its cache sizes. To add an instruction
   set: a file isa/<name>.c, and a line in `implementations`. */
#include "runtime/cpu.h"
#include "fastdrop.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

extern const fd_table fd_table_scalar;
#if defined(FD_X86)
extern const fd_table fd_table_avx2, fd_table_avx512;

static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
int fd_cpu_is_intel(void) { return __builtin_cpu_is("intel") != 0; }
#elif defined(FD_ARM64)
extern const fd_table fd_table_neon;
#endif
#if !defined(FD_X86)
int fd_cpu_is_intel(void) { return 0; }
#endif
static int always(void) { return 1; }

/* Best first: the first one that is available is used unless fd_set_isa says otherwise. */
static const struct {
    const fd_table *table;
    int (*available)(void);
} implementations[] = {
#if defined(FD_X86)
    {&fd_table_avx512, has_avx512},
    {&fd_table_avx2, has_avx2},
#elif defined(FD_ARM64)
    {&fd_table_neon, always}, /* NEON is part of AArch64 */
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

/* Reads the first line of a file of /sys. Linux describes the caches there. sysconf is no
   substitute: on AMD processors it reports the sum of all third caches, of which a core uses one.
 */
static int read_line(char *to, int room, const char *format, int index) {
    char path[80];
    snprintf(path, sizeof path, format, index);
    FILE *file = fopen(path, "r");
    const int good = file && fgets(to, room, file);
    if (file) fclose(file);
    return good;
}

static ptrdiff_t cache_from_files(int level) {
    char line[32];
    for (int i = 0;
         read_line(line, sizeof line, "/sys/devices/system/cpu/cpu0/cache/index%d/level", i); i++) {
        if (atoi(line) != level) continue;
        if (!read_line(line, sizeof line, "/sys/devices/system/cpu/cpu0/cache/index%d/type", i) ||
            line[0] == 'I')
            continue;
        if (!read_line(line, sizeof line, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i))
            continue;
        char *unit;
        const long size = strtol(line, &unit, 10);
        return (ptrdiff_t)size << (*unit == 'K' ? 10 : *unit == 'M' ? 20 : 0);
    }
    return 0;
}

ptrdiff_t fd_cache_bytes(int level) {
    static _Atomic ptrdiff_t known[4];
    ptrdiff_t bytes = atomic_load_explicit(&known[level], memory_order_relaxed);
    if (bytes) return bytes;
    /* 32 KiB, 1 MiB, 32 MiB where the system does not say */
    static const ptrdiff_t usual[4] = {0, 32 << 10, 1 << 20, 32 << 20};
    bytes = cache_from_files(level);
    if (bytes <= 0) bytes = usual[level];
    atomic_store(&known[level], bytes);
    return bytes;
}
