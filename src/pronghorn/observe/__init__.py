"""What the server says about itself: the error log and the access log."""
