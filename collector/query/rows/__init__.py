"""Read the rows of one stream from the table and from archive files."""
