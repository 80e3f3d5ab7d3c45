"""Export a ticket as a repository for the Hugging Face Hub or for NVIDIA Triton."""
