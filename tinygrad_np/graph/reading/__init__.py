"""From a tape to the plain data of a picture: boxes, values, groups, what is wrong."""
