"""Training of the detector through ultralytics: small grey slices, two looks, several boxes per slice."""
