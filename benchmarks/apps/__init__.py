"""What the service is compared with. Each module is one program, written as its users would write it."""
