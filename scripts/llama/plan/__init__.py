"""What is to be made: from words, settings and files to the inputs and params of the rules."""
