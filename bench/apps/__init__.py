"""The applications that the servers are measured with, one file each."""
