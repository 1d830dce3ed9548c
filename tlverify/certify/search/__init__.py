"""The untrusted side: finds bounds, slopes and counterexamples, and writes them down for the kernel."""
