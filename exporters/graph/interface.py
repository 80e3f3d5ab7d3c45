"""What every exported file takes and gives, by name."""

INPUTS = {
    "input_ids": ("batch", "tokens"),
    "attention_mask": ("batch", "tokens"),
    "token_type_ids": ("batch", "tokens"),
    "visual_feats": ("batch", "regions"),
    "visual_pos": ("batch", "regions"),
    "visual_attention_mask": ("batch", "regions"),
}
"""Inputs and their dynamic axes, from the first; the features and the 4 coordinates are fixed."""

OUTPUT = "logits"

OPSET = 23  # the first with Attention

CONSTANT = "graph."  # how the names of the computation's own constants begin

METADATA = frozenset(
    {
        "lxcompress",  # the version that made the file
        "variant",
        "precision",
        "encoding",  # dense or bitmask
        "sparsity",  # JSON: over prunable weights, over the whole model; null for a dense file
        "labels",  # JSON: the answers, in the order of the logits
        "tokenizer",  # JSON of the `tokenizers` library, which cuts and pads as it should
        "max_tokens",
        "sha256",  # over all the rest, as exporters.graph.onnx_file.seal
    }
)
