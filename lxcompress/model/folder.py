"""The names of the files in a model folder, in a run or elsewhere."""

MODEL_CONFIG = "config.json"
MODEL_WEIGHTS = "model.safetensors"
MASK_FILE = "mask.safetensors"
