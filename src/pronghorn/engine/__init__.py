"""The loop: accepts, reads, calls the application, writes; one per worker."""
