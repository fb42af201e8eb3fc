/* Which kernels compute products in bf16. */
#ifndef FD_RUNTIME_BF16_H
#define FD_RUNTIME_BF16_H

#include "kernels/bf16.h"

/* The kernels that go with fd_kernels(), or NULL: this processor or the instruction set in use has
   none. A driver asks once a call. */
const fd_bf16_table *fd_bf16_kernels(void);

#endif
