#include "simd/scalar.h"
#include "isa/table.inc"

const fd_table fd_table_scalar = FD_TABLE;
