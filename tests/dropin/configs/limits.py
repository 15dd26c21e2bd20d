limit_request_line = 512
limit_request_fields = 10
limit_request_field_size = 256
