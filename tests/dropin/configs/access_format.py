"""Every atom."""

accesslog = "access.log"
access_log_format = (
    "h=%(h)s l=%(l)s u=%(u)s r=%(r)s m=%(m)s U=%(U)s q=%(q)s H=%(H)s s=%(s)s B=%(B)s b=%(b)s f=%(f)s a=%(a)s "
    "in=%({x-forwarded-for}i)s out=%({content-type}o)s env=%({request_method}e)s none=%({x-none}i)s"
)
