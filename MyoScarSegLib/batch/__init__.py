"""Many studies: running them one after the other, the files and tables written, and the overlay picture."""
