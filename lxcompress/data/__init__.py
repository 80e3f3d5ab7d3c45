"""Questions, answers, regions and the dataset folder that holds them."""
