/* Floor 3: the matrix product for drivers that have a region of their own. */
#ifndef FD_GEMM_H
#define FD_GEMM_H

#include "fastdrop.h"
#include "runtime/parallel.h"

/* A product without dropout, by the calling thread alone; room: cache-line aligned, as many bytes
 * as fd_gemm_room says. */
size_t fd_gemm_room(const fd_product *p);
void fd_gemm_alone(const fd_product *p, char *room);

#endif
