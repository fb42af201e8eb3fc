/* The processor: which table of kernels is active, and how large its caches are. */
#ifndef FD_RUNTIME_CPU_H
#define FD_RUNTIME_CPU_H

#include "kernels/table.h"

/* The active table. The first call chooses the best one that the processor has; fd_set_isa changes
   it. A driver asks once a call and uses that table throughout. */
const fd_table *fd_kernels(void);

/* The size of this machine's data cache of a level: 1, 2 (one core's) or 3. A common value where
   the system does not say. Only runtime/tuning.c asks. */
ptrdiff_t fd_cache_bytes(int level);

/* Whether Intel made the processor. Decides what changes speed alone. */
int fd_cpu_is_intel(void);

#endif
