"""What is written of a study: its case folder, the tables over many, the picture."""
