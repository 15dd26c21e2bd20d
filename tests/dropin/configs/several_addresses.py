bind = ["127.0.0.1:0", "unix:shop.sock"]
umask = 0o117
workers = 2
