#include "simd/avx512.h"

#define FD_TABLE fd_table_avx512
#include "isa/table.inc"
