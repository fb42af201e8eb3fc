#include "simd/avx512.h"
#include "isa/table.inc"

const fd_table fd_table_avx512 = FD_TABLE;
