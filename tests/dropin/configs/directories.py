"""Where the application lives, and what it finds in its environment."""

chdir = "elsewhere"
pythonpath = ".."
raw_env = ["SHOP_KEY=value", "SHOP_OTHER=with=equals"]
