"""What iamframe says: the words around numbers and names."""
