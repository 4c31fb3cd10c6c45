"""``patter-trio doctor``: why does nobody get through? Each thing that can be in the way, asked in order."""
