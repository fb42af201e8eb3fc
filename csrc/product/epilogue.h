/* Epilogues of a dense layer: bias, activation, dropout. gemm.h has the contract of the hooks. */
#ifndef FD_PRODUCT_EPILOGUE_H
#define FD_PRODUCT_EPILOGUE_H

#include "product/gemm.h"

/* C = dropout(act(A B + bias)). */
typedef struct {
    const float *bias; /* n numbers, or NULL */
    int act;           /* enum fd_activation */
    float alpha;       /* of FD_LEAKY_RELU */
    fd_drop drop;      /* rows of C are samples, columns units; stream NULL: none, else 0 < q <
                          FD_KEEP_ALL, shift and fill 0 */
} fd_layer_end;

/* The hooks for `end`, which must stay valid, at its address, until the product is done. */
fd_epilogue fd_epilogue_of(const fd_layer_end *end);

#endif
