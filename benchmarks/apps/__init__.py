"""What the service is compared with. Each module is one program, written as its users would write it."""

# Where the bytes of the report lie that the others of the cached report send.
REPORT_KEY = "bench:report"
