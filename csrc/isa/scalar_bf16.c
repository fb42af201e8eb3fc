#include "simd/scalar_bf16.h"

#define FD_BF16_TABLE fd_bf16_table_scalar
#include "isa/bf16.inc"
