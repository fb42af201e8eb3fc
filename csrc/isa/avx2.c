#include "simd/avx2.h"

#define FD_TABLE fd_table_avx2
#include "isa/table.inc"
