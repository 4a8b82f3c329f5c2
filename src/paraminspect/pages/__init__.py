"""Records as one page to look at: an HTML file that holds its data, asks for nothing and opens from disk."""
