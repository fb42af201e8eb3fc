#include "simd/scalar.h"

#define FD_TABLE fd_table_scalar
#include "isa/table.inc"
