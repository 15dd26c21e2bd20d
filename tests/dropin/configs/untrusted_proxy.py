"""Whoever is not one of these forwards nothing."""

forwarded_allow_ips = "10.0.0.1,10.0.0.2"
secure_scheme_headers = {"X-FORWARDED-PROTOCOL": "ssl", "X-FORWARDED-PROTO": "https", "X-FORWARDED-SSL": "on"}
