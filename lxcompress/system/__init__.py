"""Files, devices, progress and the environment: what the operating system gives."""
