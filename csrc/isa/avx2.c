#include "simd/avx2.h"
#include "isa/table.inc"

const fd_table fd_table_avx2 = FD_TABLE;
