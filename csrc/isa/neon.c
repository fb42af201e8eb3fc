#include "simd/neon.h"

#define FD_TABLE fd_table_neon
#include "isa/table.inc"
