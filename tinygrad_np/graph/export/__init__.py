"""Exporters: each a function from the plain data of a picture to text."""
