"""Commands that turn one folder of a model into another: `convert`, `pack`, `unpack`."""
