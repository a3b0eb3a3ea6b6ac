"""Parts of the program that other parts start; their names begin with an underscore on the command line."""
