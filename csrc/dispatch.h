/* Floor 2: which table of kernels runs. */
#ifndef FD_DISPATCH_H
#define FD_DISPATCH_H

#include "kernels/kernels.h"

const fd_table *fd_kernels(void); /* the table in force */

#endif
