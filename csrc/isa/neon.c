#include "simd/neon.h"
#include "isa/table.inc"

const fd_table fd_table_neon = FD_TABLE;
