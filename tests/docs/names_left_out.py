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
        "torch.nn.utils.parametrizations": ["Enum", "Module", "Optional", "Tensor", "auto"],
        "torch.utils.data": [
            *("argument_validation", "functional_datapipe", "guaranteed_datapipes_.*"),
            *("non_deterministic", "runtime_validation.*"),
        ],
        "torch.linalg": ["common_notes"],
        "torch.optim.lr_scheduler": ["Counter", "SupportsFloat", "Any", "Tensor", "partial", "ref"],
    },
    "memory and storage: a tensor is a whole array": {
        "torch.Tensor": [
            *(
                "as_strided.*",
                "const_data_ptr",
                "data_ptr",
                "dim_order",
                "hash_tensor",
                "is_set_to",
            ),
            *("is_shared", "layout", "new_empty_strided", "resize.*", "set_", "share_memory_"),
            *("slice_inverse", "storage.*", "untyped_storage"),
        ],
    },
    "named, nested and distributed tensors": {
        "torch.utils.data": ["DistributedSampler"],
        "torch.Tensor": [
            *("align_.*", "has_names", "name", "names", "refine_names", "rename.*"),
            *("is_distributed", "is_nested", "to_padded_tensor"),
        ],
    },
    "subclasses, compilation and the inside of the graph": {
        "torch.Tensor": [
            *("as_subclass", "backward_hooks", "detach_copy", "grad_dtype", "grad_fn"),
            *("is_inference", "module_load", "nonzero_static", "output_nr", "register_post_.*"),
            *("expand_copy", "index", "unsafe_.*"),
        ],
    },
    "deprecated or removed": {
        "torch.nn.utils": ["clip_grad_norm", "clip_grad_value"],
        "torch.utils.data": ["DFIterDataPipe", "DataChunk", "IterDataPipe", "MapDataPipe"],
        "torch.Tensor": ["eig", "lstsq", "new", "reinforce", "solve", "symeig", "volatile"],
    },
    "steps of LAPACK that NumPy does not have": {
        "torch.linalg": ["householder_product", "ldl_.*", "lu.*"],
        "torch.Tensor": ["geqrf", "lu", "lu_solve", "orgqr", "ormqr", "triangular_solve"],
    },
    "other devices than the CPU": {
        "*": [
            *(
                "cuda",
                "ipu",
                "is_ipu",
                "xpu",
                "is_xpu",
                "mtia",
                "is_mtia",
                "hpu",
                "is_hpu",
            ),
            *("is_mps", "is_vulkan", "is_maia", "is_xla", "is_meta"),
            *("pin_memory", "is_pinned", "record_stream", "DataParallel", "SyncBatchNorm"),
            *("is_mkldnn", "to_mkldnn", "privateuseone", "is_privateuseone"),
        ]
    },
    "quantisation": {
        "*": [
            *("dequantize", "int_repr", "qscheme", "q_.*", "fake_quantize.*"),
            *("scaled_mm", "grouped_mm", "scaled_grouped_mm"),
        ]
    },
    "sparse tensors": {
        "*": [
            *(
                "SparseAdam",
                "coalesce",
                "is_coalesced",
                "is_sparse_csr",
                "sparse_.*",
                "to_sparse.*",
            ),
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
    "results on devices, without a wait": {
        "torch.linalg": [".*_ex"],
    },
    "memory and formats": {
        "torch.nn.utils": ["convert_conv[23]d_weight_memory_format"],
    },
    "complex numbers": {
        "torch.linalg": ["eig", "eigvals"],
        "*": [
            *(
                "H",
                "mH",
                "real",
                "imag",
                "conj.*",
                "is_conj",
                "is_neg",
                "resolve_.*",
                "angle",
                "adjoint",
            ),
            *("cdouble", "cfloat", "chalf", "istft", "stft"),
        ],
    },
    "other floats than float32": {"*": ["double", "half", "bfloat16"]},
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
            *(
                "apply_",
                "cauchy_",
                "exponential_",
                "heaviside_",
                "nextafter_",
                "geometric_",
                "log_normal_",
                "map2?_",
                "random_",
            ),
            *(
                "detach_copy",
                "float_power_",
                "igammac?_",
                "put_",
                "index_reduce_",
                "scatter_reduce_",
            ),
        ]
    },
}
