"""What is measured on a study: scar burden, and the field's thresholds for scar in a known wall."""
