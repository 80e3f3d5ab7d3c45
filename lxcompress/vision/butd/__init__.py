"""The bottom-up-attention detector (Anderson et al. 2018), the source of LXMERT's regions."""
