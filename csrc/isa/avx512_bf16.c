#include "simd/avx512_bf16.h"

#define FD_BF16_TABLE fd_bf16_table_avx512
#include "isa/bf16.inc"
