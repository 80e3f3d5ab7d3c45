"""The bottom-up-attention Faster R-CNN that LXMERT's features come from."""
