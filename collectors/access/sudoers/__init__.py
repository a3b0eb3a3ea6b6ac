"""The sudoers language, as sudo 1.9 reads it: sudoers(5). Pure, but for the walk over include files."""
