import os

statsd_host = os.environ["SHOP_STATSD"]
statsd_prefix = "shop"
dogstatsd_tags = "env:test"
workers = 1
