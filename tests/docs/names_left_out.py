"""Public names of PyTorch that fastdrop leaves out on purpose: patterns, with the reason.

A pattern is a regular expression for whole names of one module, or of any ("*").
"""

LEFT_OUT = {
    "no public name of the library": {
        "torch.nn.functional": [
            *("Optional", "assert_int_or_pair", "boolean_dispatch", "has_torch_function.*"),
            *("handle_torch_function", ".*_with_indices", "native_channel_shuffle"),
            "multi_head_attention_forward",
            *("Callable", "DType", "ScalingType", "SwizzleType", "Tensor"),
        ],
        "torch.nn": ["Container", "Uninitialized.*", "RNNCellBase", "LinearCrossEntropyOptions"],
        "torch.optim.lr_scheduler": ["Counter", "SupportsFloat", "Any", "Tensor", "partial", "ref"],
        "torch.Tensor": [
            *("as_subclass", "backward_hooks", "data_ptr", "storage.*", "untyped_storage", "set_"),
            *("share_memory_", "is_shared", "is_inference", "is_set_to", "resize.*", "module_load"),
            *(
                "grad_fn",
                "grad_dtype",
                "output_nr",
                "name",
                "names",
                "layout",
                "volatile",
                "version",
            ),
            *("element_size", "itemsize", "nbytes", "storage_offset", "stride", "as_strided.*"),
            *("dim_order", "apply_", "map_", "map2_", "resolve_.*", "is_neg", "register_post_.*"),
            *("const_data_ptr", "hash_tensor", "solve", "symeig", "to_padded_tensor", "is_nested"),
            *("new_empty_strided", "nonzero_static", "narrow_copy", "new", "index"),
            *("unsafe_.*", "split_with_sizes", "sum_to_size", "expand_copy", "reinforce"),
            *("retains_grad", "has_names", "align_.*", "refine_names", "rename.*", "is_same_size"),
            *("is_nonzero", "is_distributed", "is_signed", "ndimension", "slice_.*", "select_.*"),
            *("diagonal_scatter", "unflatten_dense_tensors", "i0.*", "type"),
        ],
    },
    "other devices than the CPU": {
        "*": [
            *(
                "cuda",
                "is_cuda",
                "ipu",
                "is_ipu",
                "xpu",
                "is_xpu",
                "mtia",
                "is_mtia",
                "hpu",
                "is_hpu",
            ),
            *("is_mps", "is_vulkan", "is_maia", "is_xla", "is_meta", "is_cpu", "get_device"),
            *("pin_memory", "is_pinned", "record_stream", "DataParallel", "SyncBatchNorm"),
            *("is_mkldnn", "to_mkldnn", "privateuseone", "is_privateuseone"),
        ]
    },
    "quantisation": {
        "*": [
            *("dequantize", "is_quantized", "int_repr", "qscheme", "q_.*", "fake_quantize.*"),
            *("scaled_mm", "grouped_mm", "scaled_grouped_mm"),
        ]
    },
    "sparse tensors": {
        "*": [
            *("SparseAdam", "coalesce", "is_coalesced", "is_sparse.*", "sparse_.*", "to_sparse.*"),
            *(
                "to_dense",
                "dense_dim",
                "ccol_indices",
                "col_indices",
                "crow_indices",
                "row_indices",
            ),
            *("indices", "values", "smm", "sspaddmm", "hspmm"),
        ]
    },
    "complex numbers": {
        "*": [
            *("H", "mH", "real", "imag", "conj.*", "is_conj", "is_complex", "angle", "adjoint"),
            *("cdouble", "cfloat", "chalf", "sgn.*", "istft", "stft"),
        ]
    },
    "other floats than float32": {
        "*": ["double", "half", "bfloat16", "char", "byte", "frexp", "ldexp.*"]
    },
    "linear algebra and special functions, which are NumPy's and SciPy's": {
        "torch.Tensor": [
            *("cholesky.*", "qr", "svd", "lu.*", "geqrf", "orgqr", "ormqr", "inverse", "pinverse"),
            *(
                "det",
                "logdet",
                "slogdet",
                "matrix_.*",
                "triangular_solve",
                "eig",
                "lstsq",
                "addr.*",
            ),
            *("digamma.*", "lgamma.*", "mvlgamma.*", "polygamma.*", "igamma.*", "erf.*", "expit.*"),
            *(
                "histc",
                "histogram",
                "gcd.*",
                "lcm.*",
                "nextafter.*",
                "heaviside.*",
                "corrcoef",
                "cov",
            ),
            *("renorm.*", "cauchy_", "geometric_", "log_normal_", "exponential_", "random_"),
            *("put_?", "index_reduce.*"),
            *("scatter_reduce.*", "masked_scatter.*", "dist", "kron", "ger", "bitwise_.*_shift.*"),
            *("__.*shift__", "nanquantile", "quantile", "nanmedian", "mode", "aminmax", "cummax"),
            *("cummin", "logcumsumexp", "logaddexp2?", "copysign.*", "float_power.*", "positive"),
            *("signbit", "sinc.*", "deg2rad.*", "rad2deg.*", "true_divide.*", "addbmm.*"),
        ]
    },
    "functions that change their argument: layers have inplace=True": {
        "torch.nn.functional": [".*_"]
    },
    "rarely used in networks": {
        "torch.nn": ["CrossMapLRN2d", "FractionalMaxPool[23]d", "NLLLoss2d"],
        "torch.nn.functional": ["fractional_max_pool[23]d", "conv_tbc"],
    },
    "methods that change the shape of a tensor in place, or have no other function": {
        "torch.Tensor": [
            *("squeeze_", "unsqueeze_", "swap.*_", "t_", "transpose_", "bernoulli_", "prelu_"),
            *("clamp_m.*_", "detach_copy"),
        ]
    },
}
