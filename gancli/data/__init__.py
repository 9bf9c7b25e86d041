"""Training set -> batches already on the device; toy distributions; augmentation."""
