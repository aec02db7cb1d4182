"""Tables in files: Excel, OpenDocument and CSV. The reading process imports this package, which needs no Django."""
