"""Questions and answers in the schemas of VQA v2 and LXMERT."""
