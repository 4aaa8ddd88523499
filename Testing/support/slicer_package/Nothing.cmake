# Packaging is not tried.
