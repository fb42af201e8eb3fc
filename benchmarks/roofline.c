/* Peak performance of a core: multiply-adds on registers. Compiled by roofline.py for the
 * instruction set in use. */
#include <stddef.h>

#if defined(__AVX512F__)
typedef float vec __attribute__((vector_size(64)));
#elif defined(__AVX2__)
typedef float vec __attribute__((vector_size(32)));
#else
typedef float vec __attribute__((vector_size(16)));
#endif
enum { CHAINS = 12 }; /* independent sums: more than latency * throughput per cycle */

/* Computes rounds * CHAINS vector multiply-adds. Returns the number of floating-point operations.
 */
double multiply_adds(ptrdiff_t rounds, float *out) {
    vec sum[CHAINS], x, y;
    for (size_t l = 0; l < sizeof x / sizeof *out; l++) x[l] = 0.5f, y[l] = out[0];
    for (int c = 0; c < CHAINS; c++) sum[c] = x * (float)c;
    for (ptrdiff_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++) sum[c] = sum[c] * x + y;
    }
    for (int c = 1; c < CHAINS; c++) sum[0] += sum[c];
    out[0] = sum[0][0];
    return 2.0 * (double)(sizeof x / sizeof *out) * CHAINS * (double)rounds;
}
