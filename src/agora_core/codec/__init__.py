"""Records as JSON that people can read, and exactly back."""
