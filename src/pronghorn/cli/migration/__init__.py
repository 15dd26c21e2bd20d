"""From how Gunicorn is started to how Pronghorn is: commands, and the files they stand in. Nothing is run."""
