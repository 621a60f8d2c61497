"""The servers and files behind the ports: a folder each, with the same file names."""
