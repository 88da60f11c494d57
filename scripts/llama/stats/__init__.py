"""The statistic: numbers in, numbers out."""
