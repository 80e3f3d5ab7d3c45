"""LXMERT as Hugging Face has it, and what lxcompress adds to it."""
