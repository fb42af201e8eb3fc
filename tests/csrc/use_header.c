/* What a program of a user does: compiles against the installed header, finds the functions in the
   library of the core, and drops units of an array. Run by tests/system/test_c_interface.py. */
#include "fastdrop.h"

#include <dlfcn.h>

typedef int (*abi_function)(void);
typedef void (*key_function)(uint32_t *, uint64_t, uint32_t, uint32_t, uint32_t, uint32_t);
typedef int (*dropout_function)(const fd_dropout_args *);

/* 0, or the number of the step that failed. */
int use_header(const char *library, float *y, const float *x, ptrdiff_t rows, ptrdiff_t units,
               uint64_t seed) {
    void *core = dlopen(library, RTLD_NOW);
    if (!core) return 1;
    const abi_function abi = (abi_function)dlsym(core, "fd_abi");
    const key_function key = (key_function)dlsym(core, "fd_stream_key");
    const dropout_function dropout = (dropout_function)dlsym(core, "fd_dropout");
    if (!abi || !key || !dropout) return 2;
    if (abi() != FD_ABI) return 3;
    fd_stream stream = {.sub = 0};
    key(stream.key, seed, 0, 0, 0, 0);
    const fd_dropout_args args = {.y = y,
                                  .x = x,
                                  .rows = rows,
                                  .units = units,
                                  .drop = {.stream = &stream, .q = FD_KEEP_ALL / 2, .scale = 2.0f}};
    return dropout(&args) == FD_OK ? 0 : 4;
}
