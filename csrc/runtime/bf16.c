/* Chooses the kernels of products in bf16. Each table belongs to an instruction set (cpu.c) and is
   only used with it. To add one: a file isa/<name>_bf16.c, its flags in setup.py, which defines the
   macro where the compiler knows them, and a line in `implementations`. */
#define _DEFAULT_SOURCE /* syscall */
#include "runtime/bf16.h"
#include "fastdrop.h"
#include "runtime/cpu.h"

#include <stdatomic.h>

extern const fd_bf16_table fd_bf16_table_scalar;
extern const fd_table fd_table_scalar;
static int always(void) { return 1; }

#if defined(FD_AVX512_BF16)
#include <cpuid.h>
extern const fd_table fd_table_avx512;
extern const fd_bf16_table fd_bf16_table_avx512;

/* Leaf 7 of cpuid: a register (0 is eax, 3 is edx) of a subleaf, 0 where there is none. */
static unsigned features(unsigned subleaf, int which) {
    unsigned r[4] = {0};
    if (!__get_cpuid_count(7, 0, &r[0], &r[1], &r[2], &r[3]) || r[0] < subleaf) return 0;
    if (subleaf) __get_cpuid_count(7, subleaf, &r[0], &r[1], &r[2], &r[3]);
    return r[which];
}

static int has_avx512_bf16(void) { return (features(1, 0) >> 5 & 1) != 0; }

/* Intel's multiply-adds for bf16 take longer than two for float32: a training step takes 1.3 to 1.5
   times as long with them (Xeon with AMX, which has tiles for it). */
static int avx512_bf16_pays(void) { return !fd_cpu_is_intel(); }
#endif

#if defined(FD_AMX_BF16) && defined(FD_AVX512_BF16) && defined(__linux__)
#define FD_HAS_AMX
#include <sys/syscall.h>
#include <unistd.h>
extern const fd_bf16_table fd_bf16_table_amx;

/* The tiles' state is large, so Linux asks a process to request it first (once, for all threads).
   That fails for a process with a signal stack that is too small. */
static int may_use_tiles(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static int has_amx_bf16(void) {
    enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24 };
    const unsigned wanted = AMX_BF16 | AMX_TILE;
    return has_avx512_bf16() && (features(0, 3) & wanted) == wanted && may_use_tiles();
}
#endif

/* Best first. */
static const struct {
    const fd_bf16_table *table;
    const fd_table *with; /* the instruction set that it belongs to */
    int (*available)(void);
    int (*pays)(void); /* whether it is used where nobody asks for it by name */
} implementations[] = {
#if defined(FD_HAS_AMX)
    {&fd_bf16_table_amx, &fd_table_avx512, has_amx_bf16, always},
#endif
#if defined(FD_AVX512_BF16)
    {&fd_bf16_table_avx512, &fd_table_avx512, has_avx512_bf16, avx512_bf16_pays},
#endif
    {&fd_bf16_table_scalar, &fd_table_scalar, always, always},
};
enum { COUNT = sizeof implementations / sizeof *implementations };

static _Atomic(const fd_bf16_table *) forced;

/* Whether an implementation can be used; by_itself: without being asked for. The processor is asked
   once: cpuid takes microseconds in a virtual machine. */
static int is_available(int i, int by_itself) {
    static _Atomic int known[COUNT]; /* 0: not asked, 1: no, 2: if asked for, 3: yes */
    int state = atomic_load_explicit(&known[i], memory_order_relaxed);
    if (!state) {
        state = !implementations[i].available() ? 1 : implementations[i].pays() ? 3 : 2;
        atomic_store(&known[i], state);
    }
    return state >= (by_itself ? 3 : 2);
}

const fd_bf16_table *fd_bf16_kernels(void) {
    const fd_table *base = fd_kernels();
    const fd_bf16_table *wanted = atomic_load_explicit(&forced, memory_order_relaxed);
    if (wanted == &fd_bf16_table_scalar) return wanted;
    for (int i = 0; i < COUNT; i++)
        if (implementations[i].with == base && (!wanted || implementations[i].table == wanted) &&
            is_available(i, !wanted))
            return implementations[i].table;
    return NULL;
}

const char *fd_bf16_isa(void) {
    const fd_bf16_table *table = fd_bf16_kernels();
    return table ? table->name : NULL;
}

int fd_set_bf16_isa(const char *name) {
    if (!name) {
        atomic_store(&forced, NULL);
        return FD_OK;
    }
    for (int i = 0; i < COUNT; i++)
        if (!strcmp(implementations[i].table->name, name) && is_available(i, 0)) {
            atomic_store(&forced, implementations[i].table);
            return FD_OK;
        }
    return FD_UNKNOWN_ISA;
}
