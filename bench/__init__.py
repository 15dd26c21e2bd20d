"""Speed and memory of Pronghorn beside its peers: `make bench`, or `python -m bench --help`."""
