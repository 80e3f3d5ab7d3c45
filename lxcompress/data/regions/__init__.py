"""Region features on disk, written shard by shard and read through a memory map.

A folder of regions holds `index.json` (which picture is in which row of which shard) and
`regions-00000.safetensors`… (see `shards.py`). While it is being written the index is called
`partial.json`, so a folder with `index.json` is complete.
"""
