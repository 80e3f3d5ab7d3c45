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
