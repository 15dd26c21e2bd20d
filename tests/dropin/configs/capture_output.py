"""What the application prints goes into the error log."""

errorlog = "error.log"
capture_output = True
