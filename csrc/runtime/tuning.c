/* The tuning decisions that look at the machine. See tuning.h. */
#include "runtime/tuning.h"
#include "runtime/cpu.h"

/* Packed panels of the longest piece of k take nine sixteenths of the second cache: 384 columns of
   1 MiB (256 and 512 columns took 1 % longer). The rest is for the rows of A and C. */
ptrdiff_t fd_columns_at_a_time(ptrdiff_t columns, ptrdiff_t tile_n) {
    const ptrdiff_t fit = fd_cache_bytes(2) / 16 * 9 / (ptrdiff_t)(FD_PIECE_OF_K * sizeof(float));
    return fd_round_up(fd_min(fd_max(fit, FD_COLUMNS_LEAST), columns), tile_n);
}

ptrdiff_t fd_few_rows(void) { return fd_max(1, fd_kernels()->lanes / 2); }

/* The rows lie on pages of their own. Intel's prefetchers do not follow there: with 8 to 64 rows of
   A a product took 1.1 to 1.7 times as long (Xeon with AMX; 6 and 24 rows ahead are no better).
   AMD's do, and fetching as well takes 3 to 12 % longer. */
ptrdiff_t fd_read_ahead(void) { return fd_cpu_is_intel() ? 12 : 0; }

/* Transforms take half of the second cache. Weights that do not fit there come from the third cache
   once a group, so it is longer then: 42 tiles take 10 % less time than 14 with 256 channels, and
   112 15 % less than 28 with 512 channels (36 MiB of weights). */
ptrdiff_t fd_winograd_tiles(ptrdiff_t channels, ptrdiff_t outputs, ptrdiff_t tile_m) {
    const ptrdiff_t transform = 36 * (ptrdiff_t)sizeof(float), half = fd_cache_bytes(2) / 2,
                    weights = transform * channels * outputs,
                    fit = half / (transform * (channels + outputs)) / tile_m * tile_m;
    return fd_max(weights > fd_cache_bytes(3) / 2 ? 112 : weights > half ? 42 : tile_m, fit);
}

/* An output of at least half the last cache would be evicted before its next reader comes. A
   streaming store also saves reading the line first. */
int fd_exceeds_caches(ptrdiff_t elements) {
    return elements * (ptrdiff_t)sizeof(float) >= fd_cache_bytes(3) / 2;
}
