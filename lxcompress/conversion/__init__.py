"""From checkpoints of LXMERT's own code to Hugging Face folders."""
