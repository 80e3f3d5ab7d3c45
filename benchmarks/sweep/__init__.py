"""The experiments of the paper: subnetworks × sparsities × seeds, with their report."""
